"""Weights that others saved: read whatever they are in, and never run."""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from helpers import Bad
from kddn.cli import app
from kddn.errors import ModelError
from kddn.research.nets import Teacher, TeacherConfig, pickles
from kddn.research.nets.baselines import AODNet
from kddn.research.nets.checkpoints import load_network
from kddn.research.nets.foreign import _AUTHORS_TEACHER, load_foreign

OLD = {"_use_new_zipfile_serialization": False}


def wrapped(network):
    """As people save a network."""
    state = network.state_dict()
    return {
        "state dict": state,
        "whole module": network,
        "whole module on several devices": nn.DataParallel(network),
        "prefix": {f"module.net.{name}": tensor for name, tensor in state.items()},
        "checkpoint": {"epoch": 3, "best": 0.5, "optimizer": {"lr": 1.0}, "state_dict": state},
        "checkpoint of a module": {"model": network, "args": Bad(print, "never")},
        "parameters": OrderedDict((n, nn.Parameter(t)) for n, t in state.items()),
    }


@pytest.mark.parametrize("options", [{}, OLD], ids=["archive", "old"])
@pytest.mark.parametrize("kind", wrapped(AODNet()))
def test_weights_are_found_whatever_they_are_in(tmp_path, capsys, kind, options):
    network = AODNet().eval()
    torch.save(wrapped(network)[kind], tmp_path / "a.pth", **options)
    found = load_foreign(tmp_path / "a.pth")
    assert type(found) is AODNet
    torch.testing.assert_close(found.state_dict(), network.state_dict(), rtol=0, atol=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_authors_teacher_has_names_of_its_own(tmp_path, prefix):
    teacher = Teacher(TeacherConfig(layout="authors")).eval()
    theirs = {ours: name for name, ours in _AUTHORS_TEACHER.items()}
    state = {}
    for name, tensor in teacher.state_dict().items():
        layer, _, part = name.rpartition(".conv.")
        state[f"{prefix}{theirs[layer]}.conv.{part}"] = tensor
    save_file(state, tmp_path / "a.safetensors")
    found = load_foreign(tmp_path / "a.safetensors", "teacher/authors")
    image = torch.rand(1, 3, 20, 24)
    torch.testing.assert_close(found(image), teacher(image), rtol=0, atol=0)


def test_the_command_writes_what_all_others_take(tmp_path, capsys):
    network = AODNet().eval()
    torch.save(network, tmp_path / "a.pth")
    out = tmp_path / "a.safetensors"
    app(["import", str(tmp_path / "a.pth"), str(out)], result_action="return_value")
    assert capsys.readouterr().out == f"{out}\n"
    torch.testing.assert_close(load_network(out).state_dict(), network.state_dict())
    with pytest.raises(ModelError, match="exists already"):
        app(["import", str(tmp_path / "a.pth"), str(out)], result_action="return_value")
    with pytest.raises(ModelError, match=r"must end in .safetensors"):
        app(["import", str(out), str(tmp_path / "a.onnx")], result_action="return_value")


@pytest.mark.parametrize("options", [{}, OLD], ids=["archive", "old"])
@pytest.mark.parametrize("function", [os.mkdir, eval])
def test_nothing_that_a_file_names_is_run(tmp_path, function, options):
    marker = tmp_path / "ran"
    said = str(marker) if function is os.mkdir else f"__import__('os').mkdir({str(marker)!r})"
    state = AODNet().state_dict()
    torch.save({"a": Bad(function, said), **state}, tmp_path / "a.pth", **options)
    load_foreign(tmp_path / "a.pth")
    assert not marker.exists()
    torch.load(tmp_path / "a.pth", weights_only=False)  # what another reader would do
    assert marker.exists()


def bare(code: bytes) -> bytes:
    """A file from before PyTorch 1.6 whose object is a pickle of one's own."""
    return b"".join(map(pickle.dumps, (pickles._MAGIC, 1001, {}))) + code + pickle.dumps([])


REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"

STORAGE = b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI%d\nNtQ"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (REBUILD + b"}V__defaults__\nNsb.", "it sets what is not its own"),
        (b"ccollections\nOrderedDict\n}Vx\nI1\nsb.", "it sets what is not its own"),
        (b"\x80\5\x96" + struct.pack("<Q", 1 << 40) + b".", "no whole file"),
        (STORAGE % 10**12 + b".", "storage 0 is cut short"),
        (b"(Vstorage\nI1\nV0\nVcpu\nI9\nNtQ.", "in a way that is not handled"),
        (REBUILD + b"(" + STORAGE % 2 + b"I0\n(I1000000\nt(I0\ntI00\nNtR.", "is larger than"),
        (REBUILD + b"(" + STORAGE % 2 + b"I1\n(I2\nt(I1\ntI00\nNtR.", "out of bounds"),
        (b"cos\nsystem\n(Vfalse\ntRcbuiltins\ngetattr\n(Nt", "no whole file"),
    ],
)
def test_what_would_harm_is_refused(tmp_path, code, said):
    path = tmp_path / "a.pth"
    path.write_bytes(bare(code))
    with pytest.raises(ModelError, match=rf"a.pth: .*{said}"):
        load_foreign(path)


def test_views_of_one_tensor_are_read_once(tmp_path):
    whole = torch.arange(500_000.0)
    views = {f"{number}": whole[number:] for number in range(200)}
    torch.save(views, tmp_path / "views.pth")
    found = pickles.load((tmp_path / "views.pth").read_bytes())
    assert {tensor.untyped_storage().data_ptr() for tensor in found.values()} == {
        found["0"].untyped_storage().data_ptr()
    }
    assert all(torch.equal(found[name], view) for name, view in views.items())


def test_a_number_made_up_takes_no_memory():
    assert pickles.load(bare(b"]r\xff\xff\xff\xff.")) == []


@pytest.mark.parametrize("state", [b"", b"}V_parameters\nI1\nsb", b"}V_modules\n]sb", b"I1\nb"])
def test_a_module_of_a_strange_state_holds_nothing(state):
    found = pickles.load(bare(b"cthe\nModule\n)\x81" + state + b"."))
    assert found.kind == "the.Module"
    assert pickles.tensors(found) == {}


def test_a_dictionary_cannot_say_what_reads_it():
    code = b"ccollections\nOrderedDict\n)R}Vitems\ncthe\nModule\nsVvalues\nI1\nsb."
    assert pickles.tensors(pickles.load(bare(code))) == {}


def test_programs_and_packed_archives_are_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.jit.script(nn.Linear(1, 1)).save(path)
    with pytest.raises(ModelError, match="TorchScript"):
        load_foreign(path)
    torch.save({"a": torch.zeros(10)}, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "b.pt", "w", 8) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with pytest.raises(ModelError, match="packed"):
        load_foreign(tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("conv2.weight"), "it has no conv2.weight"),
        (lambda s: s.update({"conv2.bias": torch.zeros(7)}), "conv2.bias is 7 rather than 3"),
        (lambda s: s["conv3.weight"].fill_(torch.nan), "conv3.weight holds values that are not"),
        (lambda s: s.update({"more": torch.zeros(1)}), "more has no place in it"),
    ],
)
def test_the_first_tensor_that_differs_is_named(tmp_path, change, said):
    state = AODNet().state_dict()
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=rf"nearest is student/aod-net, but .*{said}"):
        load_foreign(tmp_path / "a.pth")


def test_what_is_no_network_is_named(tmp_path):
    path = tmp_path / "a.pth"
    with pytest.raises(ModelError, match=r"a.pth does not exist"):
        load_foreign(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(ModelError, match=r"a.pth holds no tensors"):
        load_foreign(path)
    with pytest.raises(ModelError, match=r"no network 'student/none'; use .*teacher/paper, "):
        load_foreign(path, "student/none")
