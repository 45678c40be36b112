"""Dense-Haze (Ancuti et al., ICIP 2019): scenes under thick machine haze."""

from kddn.research.data.sets.data_set import DataSet, Names

DENSE_HAZE = DataSet(
    name="dense-haze",
    summary="Dense-Haze's 55 scenes under thick machine haze",
    licence="for research, not for commercial use",
    source="https://data.vision.ee.ethz.ch/cvl/ntire19/dense-haze/",
    example="hazy/01_hazy.png, GT/01_GT.png",
    hazy=Names("hazy", r"(?P<scene>\d\d)_hazy\.(png|jpg)"),
    clean=Names("GT", r"(?P<scene>\d\d)_GT\.(png|jpg)"),
    scenes=[f"{scene:02}" for scene in range(1, 56)],
    size=(1600, 1200),
)
