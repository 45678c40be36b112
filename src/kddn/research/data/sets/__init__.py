"""What systems are judged on: one file a data set, all giving the same cases."""

from kddn.errors import DataError
from kddn.research.data.sets.d_hazy import D_HAZY_MIDDLEBURY, D_HAZY_NYU
from kddn.research.data.sets.data_set import Case, DataSet, Names, Problem
from kddn.research.data.sets.dense_haze import DENSE_HAZE
from kddn.research.data.sets.haze_free import CLEAR, GRAPHICS
from kddn.research.data.sets.haze_rd import HAZE_RD
from kddn.research.data.sets.hsts import HSTS, HSTS_REAL
from kddn.research.data.sets.i_haze import I_HAZE
from kddn.research.data.sets.its import ITS
from kddn.research.data.sets.nh_haze import NH_HAZE
from kddn.research.data.sets.nyu import NYU, NYU_CLEAR
from kddn.research.data.sets.o_haze import O_HAZE
from kddn.research.data.sets.ots import OTS
from kddn.research.data.sets.outdoor import OUTDOOR
from kddn.research.data.sets.pairs import PAIRS
from kddn.research.data.sets.real import REAL
from kddn.research.data.sets.rtts import RTTS
from kddn.research.data.sets.sots import SOTS_INDOOR, SOTS_OUTDOOR

DATA_SETS = {
    data.name: data
    for data in (
        NYU, OUTDOOR, CLEAR, GRAPHICS, NYU_CLEAR, REAL, PAIRS, SOTS_INDOOR, SOTS_OUTDOOR, HSTS,
        HSTS_REAL, RTTS, ITS, OTS, D_HAZY_MIDDLEBURY, D_HAZY_NYU, O_HAZE, I_HAZE, DENSE_HAZE,
        NH_HAZE, HAZE_RD,
    )
}  # fmt: skip
"""The sets by name."""


def find_data_set(name: str) -> DataSet:
    """The data set of a name.

    Raises:
        DataError: If there is none.
    """
    if name not in DATA_SETS:
        raise DataError(f"there is no data set {name!r}; there are {', '.join(DATA_SETS)}")
    return DATA_SETS[name]


__all__ = ["DATA_SETS", "Case", "DataSet", "Names", "Problem", "find_data_set"]
