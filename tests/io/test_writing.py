"""Files are written whole or not at all, and are what they were."""

import errno
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from helpers import hazy_photograph
from kddn import Dehazer
from kddn.errors import ImageError
from kddn.io import writing
from kddn.io.writing import new_file, write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "picture.jpg"
    write(b"content", path, overwrite=False)
    assert path.read_bytes() == b"content"
    with pytest.raises(ImageError, match="exists already"):
        write(b"other", path, overwrite=False)
    assert path.read_bytes() == b"content"
    write(b"other", path, overwrite=True)
    assert names(path.parent) == ["picture.jpg"]
    with pytest.raises(ImageError, match="cannot be written"):
        write(b"content", path / "below-a-file.jpg", overwrite=False)


def test_what_fails_halfway_leaves_nothing(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"precious")
    with suppress(RuntimeError), new_file(path, overwrite=True) as unfinished:
        unfinished.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"precious"
    assert names(tmp_path) == ["picture.jpg"]


def test_what_another_writes_meanwhile_stays(tmp_path):
    path = tmp_path / "picture.jpg"
    writes = new_file(path, overwrite=False)
    writes.__enter__().write_bytes(b"mine")
    path.write_bytes(b"theirs")
    with pytest.raises(ImageError, match="by someone else"):
        writes.__exit__(None, None, None)
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["picture.jpg"]


def test_without_links_files_are_written_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr(os, "link", refuse)
    write(b"content", tmp_path / "a", overwrite=False)
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("length", [200, 255])
def test_any_name_that_the_file_system_takes(tmp_path, length):
    path = tmp_path / ("x" * length)
    write(b"content", path, overwrite=False)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_permissions_and_date_are_the_pictures(tmp_path, mode):
    picture, result = tmp_path / "a", tmp_path / "b"
    picture.write_bytes(b"")
    picture.chmod(mode)
    os.utime(picture, ns=(1_000_000_000, 2_000_000_000))
    write(b"content", result, overwrite=False, like=picture)
    found = result.stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns) == (mode, 2_000_000_000)


def test_a_file_like_no_other_is_as_any_new_one(tmp_path):
    (tmp_path / "usual").touch()
    write(b"content", tmp_path / "new", overwrite=False)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_links_are_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real/x.jpg", tmp_path / "link.jpg"
    real.write_bytes(b"old")
    link.symlink_to("real/x.jpg")
    with pytest.raises(ImageError, match="exists already"):
        write(b"new", link, overwrite=False)
    write(b"new", link, overwrite=True)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.parametrize("overwrite", [True, False])
def test_folders_and_devices_are_left_alone(tmp_path, overwrite):
    for path in (tmp_path, Path(os.devnull)):
        with pytest.raises(ImageError, match="no file to write to"):
            write(b"content", path, overwrite=overwrite)


def test_what_others_left_is_removed_once_they_are_gone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    path = tmp_path / "picture.jpg"
    here, elsewhere = (f"{writing._mark(path)}{host}-" for host in (writing._host(), "elsewhere"))
    left = tmp_path / f"{here}{gone.pid}-1.part"
    running = tmp_path / f"{here}{os.getppid()}-1.part"
    of_another = tmp_path / f"{elsewhere}{gone.pid}-1.part"
    of_yesterday = tmp_path / f"{elsewhere}{gone.pid}-2.part"
    for part in (left, running, of_another, of_yesterday):
        part.touch()
    os.utime(of_yesterday, times=(time.time() - 90_000,) * 2)
    write(b"content", path, overwrite=False)
    assert sorted(tmp_path.iterdir()) == sorted([path, running, of_another])


def test_a_picture_that_changes_meanwhile_is_not_replaced_by_its_old_result(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    hazy_photograph(40, 30).save(path)
    dehazer = Dehazer("dcp")
    make = dehazer._make

    def slowly(*arguments):
        done = make(*arguments)
        hazy_photograph(50, 30).save(path)
        return done

    monkeypatch.setattr(dehazer, "_make", slowly)
    with pytest.raises(ImageError, match=r"a.png has changed meanwhile, and is left as it is"):
        dehazer.file(path, path, overwrite=True)
    with Image.open(path) as image:
        assert image.size == (50, 30)
    monkeypatch.setattr(dehazer, "_make", lambda *_: path.unlink())
    with pytest.raises(ImageError, match=r"a.png has changed meanwhile"):
        dehazer.file(path, path, overwrite=True)


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    sync, link, replace = os.fsync, os.link, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append("sync") or sync(file))
    monkeypatch.setattr(os, "link", lambda *names: done.append("name") or link(*names))
    monkeypatch.setattr(Path, "replace", lambda path, to: done.append("name") or replace(path, to))
    for overwrite in (False, True):
        write(b"content", tmp_path / "a.jpg", overwrite=overwrite)
    assert done == ["sync", "name"] * 2


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EIO])
def test_a_disk_that_fails_is_told_and_one_that_cannot_say_is_not(tmp_path, monkeypatch, error):
    def refuse(file):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", refuse)
    if error == errno.EINVAL:
        write(b"content", tmp_path / "a.jpg", overwrite=False)
    else:
        with pytest.raises(ImageError, match="cannot be written"):
            write(b"content", tmp_path / "a.jpg", overwrite=False)
    assert names(tmp_path) == ["a.jpg"] * (error == errno.EINVAL)


def test_a_drive_without_permissions_and_dates_is_written_to(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    (tmp_path / "hazy.jpg").write_bytes(b"hazy")
    for place, name in ((Path, "chmod"), (os, "utime"), (os, "chown")):
        monkeypatch.setattr(place, name, refuse)
    write(b"clear", tmp_path / "a.jpg", overwrite=False, like=tmp_path / "hazy.jpg")
    write(b"clear", tmp_path / "b.jpg", overwrite=False)
    assert names(tmp_path) == ["a.jpg", "b.jpg", "hazy.jpg"]


def test_what_is_being_written_is_young_however_old_its_source(tmp_path):
    source = tmp_path / "a.jpg"
    source.write_bytes(b"hazy")
    os.utime(source, (1e9, 1e9))
    with new_file(source, overwrite=True, like=source) as unfinished:
        unfinished.write_bytes(b"clear")
        assert time.time() - unfinished.stat().st_mtime < 3600
    assert (source.read_bytes(), source.stat().st_mtime) == (b"clear", 1e9)
