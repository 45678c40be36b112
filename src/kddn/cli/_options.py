"""Kinds of options that several commands have."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

Flag = Annotated[bool, Parameter(negative=())]
"""Given or not."""

Several = Annotated[list[str] | None, Parameter(negative=())]
"""May be given several times."""

AT_LEAST_ONE = Parameter(validator=Number(gte=1))

POSITIVE = Parameter(validator=Number(gt=0))
