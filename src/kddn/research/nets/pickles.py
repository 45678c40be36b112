"""PyTorch's pickled files, read without running what is in them.

A pickle names functions to call and classes to build: a program that a stranger wrote. Here it gets
tensors, plain containers, and in place of every other class an inert `Record`. `torch.load` with
`weights_only` refuses files that hold a whole module, as older projects released them; both of
PyTorch's formats, archives and those from before 1.6, are read here with the sizes that they claim
checked against those that they have.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cache
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor

from kddn.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
"""What files from before PyTorch 1.6 begin with."""

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""What they hold, by PyTorch's name."""


Storage = Callable[[torch.dtype, str, int], Tensor]
"""The values of a storage, from their type, its key and how many there are said to be."""


class Record:
    """An object of a class that was not built: what the file says that it held."""

    kind = ""
    """The class's full name."""

    state: dict[str, Any]
    """Its attributes."""

    def __new__(cls, *_: Any, **__: Any) -> "Record":
        """A record of nothing yet, whatever the pickle gives."""
        made = super().__new__(cls)
        made.state = {}
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def _ignore(self, *_: Any) -> None:
        """What containers are given; of no use here."""

    __setitem__ = append = extend = add = _ignore


class _Function:
    """A function that a file may call, and whose attributes it cannot set."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError("it sets what is not its own")


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    """A view of a storage, which PyTorch checks to lie within it."""
    if prod(size) > storage.numel():
        raise pickle.UnpicklingError("a tensor is larger than what is stored of it")
    return torch.as_strided(storage, size, stride, offset)


def _dictionary(*pairs: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(*pairs)


_KNOWN = {
    ("collections", "OrderedDict"): _Function(_dictionary),
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(lambda tensor, *_: tensor),
    ("torch", "Size"): _Function(tuple),
    ("builtins", "set"): _Function(set),
    ("__builtin__", "set"): _Function(set),
}
"""All that a file may have called."""


class _Unpickler(pickle._Unpickler):  # in Python: C's takes memory for numbers that a file makes up
    """Builds tensors, containers and records.

    Args:
        content: The pickle, and what may be behind it.
        storage: Gives values.
    """

    dispatch: ClassVar = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()
        if code != pickle.BYTEARRAY8[0]  # takes as much memory as it is told
    }

    def __init__(self, content: io.BytesIO, storage: Storage) -> None:
        super().__init__(content, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if name in _STORAGES:
            return _STORAGES[name]
        kind = f"{module}.{name}"
        return _KNOWN.get((module, name)) or type("Record", (Record,), {"kind": kind})

    def persistent_load(self, said: Any) -> Any:
        if said[0] == "module":  # a class, with its source, in old files
            return said[1]
        _, dtype, key, _, count, *view = said
        if not isinstance(dtype, torch.dtype) or any(view):
            raise pickle.UnpicklingError("it stores values in a way that is not handled")
        return self._storage(dtype, str(key), int(count))


def load(content: bytes) -> Any:
    """What a file that `torch.save` wrote holds: tensors, containers, records.

    Args:
        content: The file.

    Raises:
        ModelError: If it is no such file, is damaged, or wants more than tensors and containers.
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            return _load_archive(content)
        return _load_old(content)
    except MemoryError:
        raise
    except Exception as error:  # a pickle can make anything raise anything
        raise ModelError(f"it is no whole file of PyTorch's ({error})") from error


def _load_archive(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {part.filename.partition("/")[2]: part for part in archive.infolist()}
        if "constants.pkl" in parts:
            raise pickle.UnpicklingError("it is a program (TorchScript)")

        def read(name: str) -> bytes:
            if parts[name].compress_type != zipfile.ZIP_STORED:
                raise pickle.UnpicklingError("it is packed, which PyTorch's files are not")
            return archive.read(parts[name])

        @cache  # several tensors may be views of one
        def whole(dtype: torch.dtype, key: str) -> Tensor:
            return _values(read(f"data/{key}"), dtype)

        def storage(dtype: torch.dtype, key: str, count: int) -> Tensor:
            values = whole(dtype, key)
            if len(values) < count:
                raise pickle.UnpicklingError(f"storage {key} is cut short")
            return values[:count]

        return _Unpickler(io.BytesIO(read("data.pkl")), storage).load()


def _load_old(content: bytes) -> Any:
    """Several pickles in a row, and behind them the storages, whose sizes the pickles claim."""
    file, storages = io.BytesIO(content), dict[str, Tensor]()

    def storage(dtype: torch.dtype, key: str, count: int) -> Tensor:
        if key not in storages:
            taken = sum(values.nbytes for values in storages.values())
            if not 0 <= count * dtype.itemsize <= len(content) - taken:
                raise pickle.UnpicklingError(f"storage {key} is cut short")
            storages[key] = torch.zeros(count, dtype=dtype)
        return storages[key]

    def following() -> Any:
        return _Unpickler(file, storage).load()

    if following() != _MAGIC:
        raise pickle.UnpicklingError("it does not begin as one")
    following(), following()  # the version, and what the machine was like
    found = following()
    for key in following():
        values = storages[key]
        if int.from_bytes(file.read(8), "little") != len(values):
            raise pickle.UnpicklingError(f"storage {key} is of another size")
        values.copy_(_values(file.read(values.nbytes), values.dtype))
    return found


def _values(content: bytes, dtype: torch.dtype) -> Tensor:
    return (
        torch.frombuffer(bytearray(content), dtype=dtype)
        if content
        else torch.empty(0, dtype=dtype)
    )


def tensors(found: Any) -> dict[str, Tensor]:
    """The tensors of what `load` gave, named as PyTorch's modules name theirs.

    Args:
        found: A module's record, a state dict, or a dictionary that holds one of them. Of several
            the one with most tensors is taken.
    """
    best: dict[str, Tensor] = {}
    for each in _within(found):
        state = dict(_of_module(each)) if isinstance(each, Record) else _of_dictionary(each)
        best = max(best, state, key=len)
    return best


def _within(found: Any) -> Iterator[Any]:
    """Records and dictionaries, down to those in dictionaries."""
    waiting, seen = [found], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or not isinstance(each, Record | dict):
            continue
        seen.add(id(each))
        yield each
        waiting += dict.values(each) if isinstance(each, dict) else []


def _of_dictionary(found: Any, kind: type = Tensor) -> dict[str, Any]:
    """Those of its values that are of a kind, by name; none where it is no dictionary."""
    items = dict.items(found) if isinstance(found, dict) else ()  # not what a file made of it
    return {str(name): value for name, value in items if isinstance(value, kind)}


def _of_module(module: Record) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a module, and of those in it."""
    waiting, seen = [("", module)], set[int]()
    while waiting:
        prefix, each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        for part in ("_parameters", "_buffers"):
            for name, value in _of_dictionary(each.state.get(part)).items():
                yield prefix + name, value
        inner = _of_dictionary(each.state.get("_modules"), Record)
        waiting += [(f"{prefix}{name}.", module) for name, module in inner.items()]
