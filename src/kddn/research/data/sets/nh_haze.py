"""NH-HAZE (Ancuti et al., CVPRW 2020): outdoor scenes under uneven machine haze, in one folder."""

from kddn.research.data.sets.data_set import DataSet, Names

NH_HAZE = DataSet(
    name="nh-haze",
    summary="NH-HAZE's 55 scenes under uneven machine haze",
    licence="for research, not for commercial use",
    source="https://data.vision.ee.ethz.ch/cvl/ntire20/nh-haze/",
    example="01_hazy.png, 01_GT.png",
    hazy=Names(r"\.|hazy", r"(?P<scene>\d\d)_hazy\.(png|jpg)"),
    clean=Names(r"\.|GT", r"(?P<scene>\d\d)_GT\.(png|jpg)"),
    scenes=[f"{scene:02}" for scene in range(1, 56)],
    size=(1600, 1200),
)
