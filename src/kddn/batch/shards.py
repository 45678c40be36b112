"""Files that hold many pictures: tar files as of WebDataset, and Parquet with image columns."""

import io
import itertools
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kddn.batch.run import Row
from kddn.errors import ImageError, KddnError
from kddn.io import files

Remove = Callable[[bytes, str], tuple[Row, bytes | None]]
"""From a picture file and its name to what became of it, and to the result where there is one."""

_LOOKED_AT = 50
"""Values of a column, to tell whether they are pictures."""


def dehaze_tar(source: Path, output: Path, remove: Remove) -> Iterator[Row]:
    """Write a tar file again with the haze of its pictures removed.

    Names and order stay, and so do members that are no pictures; a picture that cannot be done is
    left out.

    Raises:
        KddnError: If it cannot be read.
    """
    endings = files.readable_endings()
    left_out = set()
    try:
        with tarfile.open(source) as inside, tarfile.open(output, "w") as outside:
            for member in inside:
                if member.islnk() and member.linkname in left_out:
                    continue
                content = inside.extractfile(member) if member.isfile() else None
                if content is not None:  # its size and kind are what is written here
                    member.type, member.pax_headers = tarfile.REGTYPE, _own(member.pax_headers)
                if content is None or Path(member.name).suffix.lower() not in endings:
                    outside.addfile(member, content)
                    continue
                row, clear = remove(content.read(), member.name)
                yield row
                if clear is not None:
                    member.size = len(clear)
                    outside.addfile(member, io.BytesIO(clear))
                else:
                    left_out.add(member.name)
            _check_end(inside)
    except (tarfile.TarError, EOFError) as error:
        raise KddnError(f"{source} is no tar file, or damaged ({error})") from error


def _own(said: Mapping[str, str]) -> dict[str, str]:
    """What a header says of a member itself, not of how its bytes are stored."""
    stored = ("size", "GNU.sparse.")
    return {key: value for key, value in said.items() if not key.startswith(stored)}


def _check_end(inside: tarfile.TarFile) -> None:
    """See that there is nothing behind what was read: damaged headers pass for the end.

    Raises:
        tarfile.TarError: If there is, or not even the end.
    """
    file = inside.fileobj
    assert file is not None
    file.seek(inside.offset)
    if len(block := file.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it is cut short: no end is written behind its members")
    while block:
        if block.strip(b"\0"):
            raise tarfile.ReadError(f"there is more behind its end, at byte {inside.offset:,}")
        block = file.read(1 << 20)


def dehaze_parquet(source: Path, output: Path, remove: Remove) -> Iterator[Row]:
    """Write a Parquet file again with the haze of its pictures removed.

    Pictures are columns of bytes, or of `{bytes, path}` as Hugging Face's data sets have them,
    one of whose first values is a picture file. All else stays; a picture that cannot be done
    becomes null.

    Raises:
        KddnError: If it cannot be read, or has no such column.
    """
    try:
        with pq.ParquetFile(source) as inside:
            yield from _rewritten(inside, output, remove)
    except pa.ArrowException as error:
        raise KddnError(f"{source} is no Parquet file, or damaged ({error})") from error


def _rewritten(inside: pq.ParquetFile, output: Path, remove: Remove) -> Iterator[Row]:
    compression = _compression(inside)
    names = inside.schema_arrow.names
    if twice := [name for name in names if names.count(name) > 1]:
        raise KddnError(f"it has two columns called {twice[0]!r}; rename one")
    columns = [name for name in names if _holds_pictures(inside, name)]
    if inside.metadata.num_rows and not columns:
        raise KddnError("it has no column of encoded pictures; leave it out")
    place = 0
    schema = inside.schema_arrow
    for name in columns:  # whose pictures may become null
        place_of = schema.get_field_index(name)
        schema = schema.set(place_of, schema.field(place_of).with_nullable(True))
    with pq.ParquetWriter(output, schema, compression=compression) as outside:
        for group in range(inside.num_row_groups):
            table = inside.read_row_group(group)
            for name in columns:
                rows, column = _dehazed(table[name], name, place, remove)
                yield from rows
                field = schema.field(name)
                table = table.set_column(table.column_names.index(name), field, column)
            outside.write_table(table)
            place += len(table)


def _compression(inside: pq.ParquetFile) -> str:
    """How the first column is compressed, for all."""
    if inside.num_row_groups == 0:
        return "NONE"
    said = str(inside.metadata.row_group(0).column(0).compression)
    return "NONE" if said == "UNCOMPRESSED" else said


def _dehazed(column: Any, name: str, place: int, remove: Remove) -> tuple[list[Row], Any]:
    """The rows of a column's pictures, numbered from a place on, and the column of results."""
    rows, results = [], []
    for number, value in enumerate(column.to_pylist(), start=place):
        content = _content(value)
        if content is None:
            results.append(value)
            continue
        row, clear = remove(content, f"{number}/{name}")
        rows.append(row)
        as_it_was = clear if isinstance(value, bytes) else {**value, "bytes": clear}
        results.append(None if clear is None else as_it_was)
    return rows, pa.array(results, column.type)


def _content(value: Any) -> bytes | None:
    found = value.get("bytes") if isinstance(value, dict) else value
    return found if isinstance(found, bytes) else None


def _holds_pictures(inside: pq.ParquetFile, name: str) -> bool:
    """Whether one of the first values of a column is a picture file: some may be damaged."""
    kind = inside.schema_arrow.field(name).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return False
    groups = (inside.read_row_group(group, [name]) for group in range(inside.num_row_groups))
    values = (value for group in groups for value in group[name])
    contents = (content for value in values if (content := _content(value.as_py())))
    return any(map(_is_picture, itertools.islice(contents, _LOOKED_AT)))


def _is_picture(content: bytes) -> bool:
    try:
        return files.read(content) is not None
    except ImageError:
        return False
