"""Any folder of pairs: `hazy/` and `clear/`, matched by name.

Where a hazy image has no namesake, it belongs to the only clean image with the same letters before
the `_`, unless that is a namesake of another: `house_3` to `house` or `house_clear`.
"""

from kddn.research.data.sets.data_set import DataSet, Names

_PICTURE = r"(?P<scene>(?P<prefix>[^_]*).*)\.\w+"

PAIRS = DataSet(
    name="pairs",
    summary="any folder of pairs: hazy/ and clear/",
    licence="yours",
    source="pictures of your own in hazy/ and clear/",
    example="hazy/house.png or hazy/house_3.png, clear/house.png",
    hazy=Names("hazy", _PICTURE),
    clean=Names("clear|gt", _PICTURE),
)
