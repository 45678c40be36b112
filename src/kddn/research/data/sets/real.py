"""Hazy photographs without ground truth: what can be said of them, `kddn evaluate` says."""

from kddn.research.data.sets.data_set import ANY_PICTURE, DataSet

REAL = DataSet(
    name="real",
    summary="hazy pictures of a folder, without ground truth",
    licence="yours",
    source="hazy pictures of your own",
    example="any picture",
    hazy=ANY_PICTURE,
)
