"""RESIDE's synthetic test set (SOTS), indoor and outdoor.

Indoor, the target is stored at 640x480 and the hazy images at 620x460: 10 pixels a side are cut off
it. Outdoor, eight photographs come under two hazes.
"""

from kddn.research.data.sets.data_set import DataSet, Names

_SOURCE = "https://sites.google.com/view/reside-dehaze-datasets/reside-standard"

SOTS_INDOOR = DataSet(
    name="sots-indoor",
    summary="RESIDE's indoor test set: 50 rooms under ten hazes each",
    licence="for research; the photographs are NYU Depth V2's",
    source=_SOURCE,
    example="hazy/1400_1.png, gt/1400.png",
    hazy=Names("hazy", r"(?P<scene>\d+)_(?P<haze>\d+)\.(png|jpg)"),
    clean=Names("gt|clear", r"(?P<scene>\d+)\.(png|jpg)"),
    scenes=[str(scene) for scene in range(1400, 1450)],
    hazes=[str(haze) for haze in range(1, 11)],
    size=(620, 460),
)

SOTS_OUTDOOR = DataSet(
    name="sots-outdoor",
    summary="RESIDE's outdoor test set: 500 hazy images of 492 photographs",
    licence="for research",
    source=_SOURCE,
    example="hazy/0001_0.8_0.2.jpg, gt/0001.png",
    hazy=Names(
        "hazy", r"(?P<scene>\d+)_(?P<airlight>\d+(\.\d+)?)_(?P<haze>\d+(\.\d+)?)\.(jpg|png)"
    ),
    clean=Names("gt|clear", r"(?P<scene>\d+)\.(png|jpg)"),
    count=500,
)
