"""Any folder of pairs: `hazy/` and `clear/`, matched by name or by what is before the `_`."""

from kddn.research.data.sets.data_set import DataSet, Names

_PICTURE = r"(?P<scene>(?P<prefix>[^_]+).*)\.\w+"

PAIRS = DataSet(
    name="pairs",
    summary="any folder of pairs: hazy/ and clear/",
    licence="yours",
    source="pictures of your own in hazy/ and clear/",
    example="hazy/house.png or hazy/house_3.png, clear/house.png",
    hazy=Names("hazy", _PICTURE),
    clean=Names("clear|gt", _PICTURE),
)
