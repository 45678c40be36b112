"""Tables in Markdown."""

from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]], *, words: int | None = None) -> str:
    """A table in Markdown, its heads first.

    Args:
        rows: All cells.
        words: How many columns are words; those after them are figures, set right. By default all.

    Examples:
        >>> print(markdown([["a", "b"], ["1", "2"]]), end="")
        | a | b |
        | --- | --- |
        | 1 | 2 |
    """
    heads, *others = rows
    left = len(heads) if words is None else words
    rule = ["---"] * left + ["---:"] * (len(heads) - left)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [heads, rule, *others])
