"""RESIDE's real test set for tasks (RTTS): street scenes with boxes, no ground truth."""

from kddn.research.data.sets.data_set import DataSet, Names

RTTS = DataSet(
    name="rtts",
    summary="RESIDE's real street scenes: 4,322 photographs without ground truth",
    licence="for research",
    source="https://sites.google.com/view/reside-dehaze-datasets/reside-v0",
    example="JPEGImages/AM_Bing_211.png",
    hazy=Names("JPEGImages", r"(?P<scene>.+)\.(png|jpg|jpeg)"),
    count=4322,
)
