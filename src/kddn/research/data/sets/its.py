"""RESIDE's indoor training set (ITS): rooms of NYU Depth V2 and Middlebury under drawn haze.

The clean images of some copies keep a border of 10 pixels that the hazy ones lost (`read_parts`).
"""

from kddn.research.data.sets.data_set import DataSet, Names

ITS = DataSet(
    name="its",
    summary="RESIDE's indoor training set: 1,399 rooms under ten hazes each",
    licence="for research; the photographs are NYU Depth V2's",
    source="https://sites.google.com/view/reside-dehaze-datasets/reside-standard",
    example="hazy/1_1_0.90179.png, clear/1.png, trans/1_1.png",
    hazy=Names("hazy", r"(?P<scene>\d+)_(?P<haze>\d+)_(?P<airlight>\d+(\.\d+)?)\.(png|jpg)"),
    clean=Names("clear|gt", r"(?P<scene>\d+)\.(png|jpg)"),
    transmission=Names("trans", r"(?P<scene>\d+)_(?P<haze>\d+)\.png"),
    scenes=[str(scene) for scene in range(1, 1400)],
    hazes=[str(haze) for haze in range(1, 11)],
    size=(620, 460),
)
