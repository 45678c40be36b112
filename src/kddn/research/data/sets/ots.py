"""RESIDE's outdoor training set (OTS): photographs whose depth a network estimated."""

from kddn.research.data.sets.data_set import DataSet, Names

OTS = DataSet(
    name="ots",
    summary="RESIDE's outdoor training set: 2,061 photographs under 35 hazes each",
    licence="for research",
    source="https://sites.google.com/view/reside-dehaze-datasets/reside-v0",
    example="hazy/0005_0.8_0.04.jpg, clear/0005.jpg",
    hazy=Names(
        "hazy|OTS", r"(?P<scene>\d+)_(?P<airlight>\d+(\.\d+)?)_(?P<haze>\d+(\.\d+)?)\.(jpg|png)"
    ),
    clean=Names("clear|clear_images|gt", r"(?P<scene>\d+)\.(jpg|png)"),
    count=72_135,
)
