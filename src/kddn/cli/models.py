"""`kddn models`."""

from rich import print as show
from rich.table import Table

from kddn.inference.models import list_models


def models() -> None:
    """List the models that can be asked for, the default first."""
    table = Table("model", "what it is", "working size", box=None)
    for model in list_models():
        table.add_row(model.name, model.summary, f"{model.working_size} px")
    show(table)
