"""Tables in Markdown."""

from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its heads first.

    Examples:
        >>> print(markdown([["a", "b"], ["1", "2"]]), end="")
        | a | b |
        | --- | --- |
        | 1 | 2 |
    """
    heads, *others = rows
    rule = ["---"] * len(heads)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [heads, rule, *others])
