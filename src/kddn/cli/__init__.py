"""The `kddn` command. Each subcommand is imported only when it is used."""

import codecs
import io
import os
import re
import sys

from cyclopts import App

from kddn import __version__
from kddn.errors import KddnError

PIPE = "/dev/stdin"
"""What a bare `-` stands for, which would be taken for an option."""

app = App(
    name="kddn",
    help="Remove haze from photographs; train and check what does it.",
    version=__version__,
)
app.command("kddn.cli.dehaze:dehaze", help="Remove haze from picture files.")
app.command("kddn.cli.batch:batch", help="Remove haze from millions, on many machines.")
app.command("kddn.cli.models:models", help="List the models that can be asked for.")
app.command("kddn.cli.serve:serve", help="Serve a page and an interface for programs.")
app.command("kddn.cli.bench:bench", help="Measure what systems cost beside each other.")

research = "Research (pip install 'kddn\\[train]')"
app.command(
    "kddn.cli.train:train", help="Train a teacher or a student from a recipe.", group=research
)
data = App(name="data", help="List data sets, and check folders of them.", group=research)
data.command("kddn.cli.data:list_data", name="list", help="List the data sets.")
data.command("kddn.cli.data:check_data", name="check", help="See whether one is whole.")
app.command(data)
app.command("kddn.cli.evaluate:evaluate", help="Measure models on data sets.", group=research)
app.command(
    "kddn.cli.reproduce:reproduce",
    help="Train and measure a table of the paper again.",
    group=research,
)
app.command(
    "kddn.cli.export:export",
    help="Write trained weights as a model to dehaze with.",
    group=research,
)
app.command(
    "kddn.cli.import_:import_weights",
    name="import",
    help="Take over weights that another project saved.",
    group=research,
)


def as_flags(text: str) -> str:
    """What the library calls `full_resolution` is --full-resolution here."""
    return re.sub(r"`([a-z]\w*)`", lambda name: "--" + name[1].replace("_", "-"), text)


def _written_anyhow(error: UnicodeError) -> tuple[str | bytes, int]:
    """What a stream gets of a name: its bytes, and of letters that it lacks their numbers."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def main() -> None:
    """Run the command line; errors that a person can mend end it with one line and status 1."""
    codecs.register_error("kddn", _written_anyhow)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be anything
            stream.reconfigure(errors="kddn")
    try:
        app(_with_pipe(sys.argv[1:]))
    except KddnError as error:
        sys.exit(f"kddn: {as_flags(str(error))}")
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except OSError as error:  # such as a full disk behind standard output
        _drop_output()
        sys.exit(f"kddn: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _with_pipe(words: list[str]) -> list[str]:
    """The command's words, in which `-` is what comes by the pipe, where it can be."""
    if words[:1] != ["dehaze"]:
        return words
    return [
        PIPE if word == "-" and before not in ("--suffix", "--report") else word
        for before, word in zip(["", *words], words, strict=False)
    ]


def _drop_output() -> None:
    """Lose what Python would try to print once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
