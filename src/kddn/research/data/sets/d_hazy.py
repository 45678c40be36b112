"""D-HAZY (Ancuti et al., ICIP 2016): haze over scenes whose depth was measured."""

from kddn.research.data.sets.data_set import DataSet, Names

_SOURCE = "https://www.meo.etc.upt.ro/AncutiProjectPages/D_Hazzy_ICIP2016/"

D_HAZY_MIDDLEBURY = DataSet(
    name="d-hazy-middlebury",
    summary="D-HAZY's 23 scenes of Middlebury's stereo pairs, large; Table 3",
    licence="for research",
    source=_SOURCE,
    example="Middlebury_Hazy/Adirondack_Hazy.bmp, Middlebury_GT/Adirondack_im0.png",
    hazy=Names(r"(Middlebury_)?Hazy|\.", r"(?P<scene>.+)_Hazy\.(bmp|png)"),
    clean=Names(r"(Middlebury_)?GT|\.", r"(?P<scene>.+)_im0\.(bmp|png)"),
    count=23,
)

D_HAZY_NYU = DataSet(
    name="d-hazy-nyu",
    summary="D-HAZY's 1,449 rooms of NYU Depth V2, among them those that training uses",
    licence="for research",
    source=_SOURCE,
    example="NYU_Hazy/1_Hazy.bmp, NYU_GT/1_Image_.bmp",
    hazy=Names(r"(NYU_)?Hazy|\.", r"(?P<scene>\d+)_Hazy\.(bmp|png)"),
    clean=Names(r"(NYU_)?GT|\.", r"(?P<scene>\d+)_Image_?\.(bmp|png)"),
    ignored=Names(r"(NYU_)?GT|\.", r"\d+_Depth_?\.(bmp|png)"),
    scenes=[str(scene) for scene in range(1, 1450)],
)
