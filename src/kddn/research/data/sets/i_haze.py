"""I-HAZE (Ancuti et al., 2018): indoor scenes with real haze from a machine.

The paper has 35 scenes; the public archive has 30.
"""

from kddn.research.data.sets.data_set import DataSet, Names

I_HAZE = DataSet(
    name="i-haze",
    summary="I-HAZE's 30 published indoor scenes with machine haze",
    licence="for research, not for commercial use",
    source="https://data.vision.ee.ethz.ch/cvl/ntire18/i-haze/",
    example="hazy/01_indoor_hazy.jpg, GT/01_indoor_GT.jpg",
    hazy=Names("hazy", r"(?P<scene>\d\d)_indoor_hazy\.(jpg|png)"),
    clean=Names("GT", r"(?P<scene>\d\d)_indoor_GT\.(jpg|png)"),
    count=30,
)
