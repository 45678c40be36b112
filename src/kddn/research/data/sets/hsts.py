"""RESIDE's hybrid test set (HSTS): ten synthetic outdoor images with targets, ten real without."""

from kddn.research.data.sets.data_set import DataSet, Names

_SOURCE = "https://sites.google.com/view/reside-dehaze-datasets/reside-standard"
_PICTURE = r"(?P<scene>[^/]+)\.(jpg|png)"

HSTS = DataSet(
    name="hsts",
    summary="RESIDE's hybrid test set, the synthetic half: 10 outdoor images",
    licence="for research",
    source=_SOURCE,
    example="synthetic/synthetic/0586.jpg, synthetic/original/0586.jpg",
    hazy=Names("(synthetic/)?synthetic", _PICTURE),
    clean=Names("(synthetic/)?original", _PICTURE),
    count=10,
)

HSTS_REAL = DataSet(
    name="hsts-real",
    summary="RESIDE's hybrid test set, the real half: 10 photographs without ground truth",
    licence="for research",
    source=_SOURCE,
    example="real-world/Beijing1.jpg",
    hazy=Names("real-world", _PICTURE),
    count=10,
)
