"""Pictures on several machines: two nodes of Ray and an S3 server, all on this one."""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest
from PIL import Image

from helpers import hazy_photograph
from kddn import Dehazer
from kddn.batch.run import Row
from kddn.cli import main
from kddn.errors import KddnError

ray = pytest.importorskip("ray")
pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from kddn.batch.manifest import Manifest, Work  # noqa: E402
from kddn.batch.ray import Fleet, _room, batch, start  # noqa: E402
from kddn.batch.store import Store  # noqa: E402

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]  # Ray's own

WORK = Work(model="kddn-indoor", working_size=32)


@pytest.fixture(scope="module")
def s3():
    """Where a server of S3 is reached, which this process and those of the cluster use."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    null = subprocess.DEVNULL
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, stdout=null, stderr=null) as server,
    ):
        for name, value in known.items():
            patch.setenv(name, value)
        for _ in range(600):
            assert server.poll() is None
            try:
                urlopen(known["AWS_ENDPOINT_URL"], timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the server of S3 does not answer")
        yield
        server.terminate()


@pytest.fixture(scope="module")
def cluster(s3):
    """Two nodes of one core each."""
    size = {"num_cpus": 1, "object_store_memory": 100 << 20}
    nodes = Cluster(initialize_head=True, head_node_args=size)
    nodes.add_node(**size)
    start(nodes.address)
    assert ray.cluster_resources()["CPU"] == 2
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def folder(tmp_path):
    """Pictures, one of them broken, and what is none."""
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    for name in ("a.jpg", "b.png", "deep/a.jpg", "old-dehazed.jpg", ".hidden.jpg"):
        hazy_photograph(60, 40).save(source / name)
    (source / "bad.jpg").write_bytes(b"no picture")
    (source / "notes.txt").write_text("no picture")
    return source


def done(source, destination, **options):
    return [
        row
        for rows, _ in batch(
            Store.open(str(source)), Store.open(str(destination)), WORK, Fleet(), **options
        )
        for row in rows
    ]


def outputs(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".kddn-batch" not in path.parts
    }


def descendants(ancestor):
    """Processes that stem from one, and what they are called."""
    parents, names = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(process.name)
            parents[pid] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            names[pid] = (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
    found, fresh = {}, {ancestor}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh}
        found |= {pid: names.get(pid, b"") for pid in fresh}
    return found


def test_500_pictures_are_done_once_each_though_a_worker_is_killed(cluster, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(500):
        hazy_photograph(60 + number % 7, 40).save(source / f"{number}.jpg")
    rows, killed = [], []
    for some, total in batch(Store.open(str(source)), Store.open(str(out)), WORK, Fleet()):
        assert total == 500
        rows += some
        if len(rows) > 100 and not killed:
            processes = descendants(os.getpid()).items()
            killed = [pid for pid, name in processes if name.startswith(b"ray::MapWorker")]
            os.kill(killed[0], signal.SIGKILL)
    assert killed
    assert {row.status for row in rows} == {"done"}
    assert sorted(row.input for row in rows) == sorted(map(str, source.iterdir()))
    assert outputs(out) == {Path(row.output).name: row.sha256 for row in rows}
    noted = [
        json.loads(line)["input"]
        for part in (out / ".kddn-batch").glob("rows-*")
        for line in part.read_text().splitlines()
    ]
    assert sorted(noted) == sorted(row.input for row in rows)


def test_results_and_rows_are_those_of_one_machine(cluster, folder, tmp_path):
    rows = {row.input: row for row in done(folder, tmp_path / "out")}
    assert [Path(name).name for name in rows if rows[name].status == "failed"] == ["bad.jpg"]
    assert rows[f"{folder}/bad.jpg"].error == f"{folder}/bad.jpg is not a picture in a known format"
    alone = Dehazer("kddn-indoor", working_size=32, threads=1)
    for name in ("a.jpg", "b.png", "deep/a.jpg"):
        expected = alone.file(folder / name, tmp_path / "alone" / name)
        row = rows.pop(f"{folder}/{name}")
        assert row.sha256 == expected.sha256 == outputs(tmp_path / "out")[name]
        assert (row.width, row.height, row.haze) == (60, 40, round(expected.haze, 4))
    assert len(rows) == 1


def test_a_repeated_run_does_what_is_left(cluster, folder, tmp_path):
    first = done(folder, tmp_path / "out")
    hazy_photograph(60, 40).save(folder / "new.jpg")
    assert len(first) == 4
    again = [Path(row.input).name for row in done(folder, tmp_path / "out")]
    assert sorted(again) == ["bad.jpg", "new.jpg"]
    stores = Store.open(str(folder)), Store.open(str(tmp_path / "out"))
    with pytest.raises(KddnError, match=r"was made in another way \(`strength` 1.0, now 0.5\)"):
        list(batch(*stores, replace(WORK, strength=0.5), Fleet()))
    shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(KddnError, match=r"another way \(`source` .*in, now .*other\)"):
        done(tmp_path / "other", tmp_path / "out")


def test_what_others_made_is_not_replaced_unasked(cluster, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.jpg").write_bytes(b"mine")
    with pytest.raises(KddnError, match="has files already; name another destination, or"):
        done(folder, tmp_path / "out")
    assert outputs(tmp_path / "out").keys() == {"a.jpg"}
    done(folder, tmp_path / "out", overwrite=True)
    assert outputs(tmp_path / "out").keys() == {"a.jpg", "b.png", "deep/a.jpg"}


@pytest.mark.parametrize(
    ("source", "destination", "cause"),
    [
        ("in", "in/out", "lies in .*in; name another destination"),
        ("in", "in", "lies in"),
        ("in/deep", "in", "in/deep lies in .*in; name another destination"),
        ("in", "link/out", "link/out lies in"),
        ("in/a.jpg", "out", "in/a.jpg is a file; give the folder that it is in"),
        ("none", "out", r"there are no pictures, .tar or .parquet files in .*none"),
        ("in", "nowhere://x", "nowhere://x cannot be reached"),
    ],
)
def test_impossible_places_are_refused(folder, tmp_path, monkeypatch, source, destination, cause):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("in")
    with pytest.raises(KddnError, match=cause):
        done(source, destination)


def test_a_device_that_workers_lack_is_told(cluster, folder, tmp_path):
    stores = Store.open(str(folder)), Store.open(str(tmp_path / "out"))
    with pytest.raises(KddnError, match=r"could not go on: .*device 'cuda' is not available here"):
        list(batch(*stores, WORK, Fleet(device="cuda")))


# The cluster has two machines of one processor each.
@pytest.mark.parametrize("lacking", [{"cpus": 1000}, {"cpus": 2}, {"gpus": 1}])
def test_workers_that_have_room_nowhere_are_told(cluster, folder, tmp_path, lacking):
    stores = Store.open(str(folder)), Store.open(str(tmp_path / "out"))
    with pytest.raises(KddnError, match="the cluster has no machine for a worker of"):
        list(batch(*stores, WORK, Fleet(**lacking)))


@pytest.mark.parametrize(
    ("fleet", "machines", "room"),
    [
        (Fleet(cpus=3), [{"CPU": 4.0}, {"CPU": 8.0}, {"CPU": 2.0}], 3),
        (Fleet(gpus=0.1), [{"CPU": 64.0, "GPU": 1.0}], 10),
        (Fleet(gpus=2), [{"CPU": 9.0, "GPU": 3.0}, {"CPU": 9.0, "GPU": 1.0}], 1),
        (Fleet(cpus=4, gpus=0.5), [{"CPU": 9.0, "GPU": 4.0}, {"CPU": 9.0}], 2),
    ],
)
def test_a_worker_needs_all_of_its_room_on_one_machine(monkeypatch, fleet, machines, room):
    nodes = [{"Alive": True, "Resources": each} for each in machines]
    nodes.append({"Alive": False, "Resources": {"CPU": 99.0, "GPU": 99.0}})
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    assert _room(fleet) == room


def test_other_weights_of_one_name_are_another_model(folder, tmp_path):
    out = Store.open(str(tmp_path / "out"))
    one = Work(model="m.onnx", weights="a")
    begin = partial(Manifest(out).begin, Store.open(str(folder)), overwrite=False)
    begin(one)
    begin(one)
    with pytest.raises(KddnError, match=r"made in another way \(`weights` a, now b\)"):
        begin(replace(one, weights="b"))
    settings = tmp_path / "out/.kddn-batch/settings.json"
    earlier = json.loads(settings.read_text())
    del earlier["weights"]  # as an earlier kddn wrote it
    settings.write_text(json.dumps(earlier))
    begin(replace(one, weights="b"))


def test_what_was_removed_since_is_done_again(folder, tmp_path):
    out = Store.open(str(tmp_path / "out"))
    manifest, source = Manifest(out), Store.open(str(folder))
    begin = partial(manifest.begin, source, Work(model="m"), overwrite=False)
    begin()
    for name in ("a.jpg", "b.png"):
        out.write(name, "a result")
        manifest.add(Row(source.label(name), out.label(name), "done", "m").json() + "\n")
    manifest.close()
    assert begin() == {source.label("a.jpg"), source.label("b.png")}
    (tmp_path / "out/b.png").unlink()
    assert begin() == {source.label("a.jpg")}


def test_what_ends_its_worker_each_time_is_told(folder, tmp_path, monkeypatch):
    def never(source, destination, names, work, fleet):
        assert names == ["a.jpg", "b.png", "bad.jpg", "deep/a.jpg"]
        return iter([Row(f"{folder}/b.png", "x", "done", "m").json() + "\n"])

    monkeypatch.setattr("kddn.batch.ray.run", never)
    rows = {Path(row.input).name: row.status for row in done(folder, tmp_path / "out")}
    assert rows == {"b.png": "done", "a.jpg": "failed", "bad.jpg": "failed"}
    (part,) = (tmp_path / "out/.kddn-batch").glob("rows-*")
    assert "its worker ended before it was done" in part.read_text()


def test_each_flag_reaches_those_who_work(folder, monkeypatch, capsys):
    def watched(source, destination, work, fleet, *, overwrite):
        found.extend([source.address, destination.address, work, fleet, overwrite])
        row = Row("a.jpg", "b.jpg", "done", "dcp", width=1)
        return iter([([row, replace(row, width=None, status="failed", error="a.tar: bad")], 1)])

    found = []
    monkeypatch.setattr("kddn.batch.ray.start", found.append)
    monkeypatch.setattr("kddn.batch.ray.batch", watched)
    words = (
        "in out --strength 0.5 --working-size 9 --full-resolution --max-pixels 7 --model dcp "
        "--device cpu --overwrite --address a:1 --workers 3 --cpus 2 --gpus 0.5 --json"
    )
    monkeypatch.setattr(sys, "argv", ["kddn", "batch", *words.split()])
    with pytest.raises(SystemExit, match="1"):
        main()
    work = Work(model="dcp", strength=0.5, full_resolution=True, working_size=9, weights=None)
    fleet = Fleet(workers=3, cpus=2, gpus=0.5, device="cpu", max_pixels=7)
    here = str(Path.cwd())
    assert found == ["a:1", f"{here}/in", f"{here}/out", work, fleet, True]
    out, errors = capsys.readouterr()
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["done", "failed"]
    assert errors.startswith("kddn: a.tar: bad\n1 pictures in ")
    assert errors.endswith("a second; 1 failed\n")


def picture(mode="RGB", format="JPEG"):
    buffer = io.BytesIO()
    hazy_photograph(60, 40).convert(mode).save(buffer, format)
    return buffer.getvalue()


def make_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def members_of(path):
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_tar_files_stay_tar_files(cluster, tmp_path):
    (tmp_path / "in").mkdir()
    members = {"0.jpg": picture(), "0.cls": b"7", "1.png": picture("L", "PNG"), "2.jpg": b"broken"}
    make_tar(tmp_path / "in/a.tar", members)
    (tmp_path / "in/b.tar").write_bytes(b"no tar file")
    rows = {Path(row.input).name: row for row in done(tmp_path / "in", tmp_path / "out")}
    states = {name: row.status for name, row in rows.items()}
    assert states == {
        "0.jpg": "done", "1.png": "done", "2.jpg": "failed", "a.tar": "done", "b.tar": "failed",
    }  # fmt: skip
    clear = members_of(tmp_path / "out/a.tar")
    assert list(clear) == ["0.jpg", "0.cls", "1.png"]
    assert clear["0.cls"] == b"7"
    expected = Dehazer("kddn-indoor", working_size=32).encoded(members["0.jpg"])
    assert clear["0.jpg"] == expected
    assert rows["0.jpg"].sha256 == hashlib.sha256(expected).hexdigest()
    assert "no tar file, or damaged" in rows["b.tar"].error
    assert not (tmp_path / "out/b.tar").exists()
    assert [Path(row.input).name for row in done(tmp_path / "in", tmp_path / "out")] == ["b.tar"]


@pytest.mark.parametrize(
    "damage", ["a flipped bit", "cut at a member", "cut in a header", "joined"]
)
def test_a_tar_file_with_less_or_more_than_it_seems_is_damaged(tmp_path, damage):
    from kddn.batch.shards import dehaze_tar

    whole, output = tmp_path / "a.tar", tmp_path / "b.tar"
    make_tar(whole, {f"{number}.cls": b"7" for number in range(6)})
    content, step = bytearray(whole.read_bytes()), 1024  # a header and a block
    assert list(dehaze_tar(whole, output, None)) == []
    if damage == "a flipped bit":
        content[2 * step] ^= 1
    elif damage == "joined":
        content += whole.read_bytes()
    else:
        del content[3 * step + (100 if damage == "cut in a header" else 0) :]
    whole.write_bytes(content)
    with pytest.raises(KddnError, match=r"a\.tar is no tar file, or damaged"):
        list(dehaze_tar(whole, output, None))


def test_members_whose_headers_say_their_size_again_stay_whole(tmp_path):
    from kddn.batch.shards import dehaze_tar

    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = 7, {"size": "7", "comment": "of the sea"}
            tar.addfile(member, io.BytesIO(b"picture"))
        for of in "bc":
            link = tarfile.TarInfo(f"link-to-{of}.jpg")
            link.type, link.linkname = tarfile.LNKTYPE, f"{of}.jpg"
            tar.addfile(link)

    def remove(content, name):
        return name, None if name == "b.jpg" else content + b" without haze"

    rows = list(dehaze_tar(tmp_path / "a.tar", tmp_path / "b.tar", remove))
    assert rows == ["a.jpg", "b.jpg", "c.jpg"]
    clear = b"picture without haze"
    assert members_of(tmp_path / "b.tar") == {
        "a.jpg": clear, "c.jpg": clear, "link-to-c.jpg": clear,
    }  # fmt: skip
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getmember("a.jpg").pax_headers["comment"] == "of the sea"


def test_two_columns_of_one_name_are_told(tmp_path):
    from kddn.batch.shards import dehaze_parquet

    table = pa.Table.from_arrays([pa.array([picture()])] * 2, ["image", "image"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(KddnError, match="two columns called 'image'; rename one"):
        list(dehaze_parquet(tmp_path / "a.parquet", tmp_path / "b.parquet", None))


def test_a_column_that_must_not_be_null_may_lose_a_picture(tmp_path):
    from kddn.batch.shards import dehaze_parquet

    schema = pa.schema([pa.field("image", pa.binary(), nullable=False)])
    table = pa.table({"image": [picture(), b"broken"]}, schema=schema)
    pq.write_table(table, tmp_path / "a.parquet")
    rows = list(
        dehaze_parquet(
            tmp_path / "a.parquet",
            tmp_path / "b.parquet",
            lambda content, name: (name, None if content == b"broken" else b"clear"),
        )
    )
    assert rows == ["0/image", "1/image"]
    assert pq.read_table(tmp_path / "b.parquet")["image"].to_pylist() == [b"clear", None]


def test_parquet_files_keep_all_but_their_pictures(cluster, tmp_path):
    (tmp_path / "in").mkdir()
    table = pa.table(
        {
            "image": [{"bytes": picture(), "path": f"{i}.jpg"} for i in range(3)],
            "raw": [None, picture("L", "PNG"), b"broken"],
            "late": [b"broken", picture("L", "PNG"), None],
            "label": [4, 5, 6],
            "key": [b"\1", b"\2", b"\3"],
        }
    ).replace_schema_metadata({"huggingface": "{}"})
    pq.write_table(table, tmp_path / "in/a.parquet", row_group_size=2, compression="zstd")
    pq.write_table(table.select(["label"]), tmp_path / "in/none.parquet")
    late = {"row_group_size": 1, "compression": "none"}
    pq.write_table(table.select(["raw"]), tmp_path / "in/plain.parquet", **late)
    rows = {row.input.rpartition("in/")[2]: row for row in done(tmp_path / "in", tmp_path / "out")}
    with pq.ParquetFile(tmp_path / "out/plain.parquet") as made:  # whose first rows have no picture
        assert made.metadata.row_group(0).column(0).compression == "UNCOMPRESSED"
        assert [value is None for value in made.read()["raw"].to_pylist()] == [True, False, True]
    assert rows["none.parquet"].error.endswith("it has no column of encoded pictures; leave it out")
    assert rows["a.parquet/2/raw"].status == "failed"
    with pq.ParquetFile(tmp_path / "out/a.parquet") as made:
        assert made.num_row_groups == 2
        assert made.metadata.row_group(0).column(0).compression == "ZSTD"
        clear = made.read()
    assert clear.schema.equals(table.schema, check_metadata=True)
    assert clear.select(["label", "key"]) == table.select(["label", "key"])
    expected = Dehazer("kddn-indoor", working_size=32).encoded(picture())
    assert clear["image"].to_pylist() == [{"bytes": expected, "path": f"{i}.jpg"} for i in range(3)]
    first, second, third = clear["raw"].to_pylist()
    assert (first, third) == (None, None)
    assert clear["late"].to_pylist() == [None, second, None]
    with Image.open(io.BytesIO(second)) as image:
        assert (image.mode, image.size) == ("L", (60, 40))


def test_buckets_are_read_and_written(cluster, folder, tmp_path):
    make_tar(folder / "a.tar", {"0.jpg": picture()})
    system = Store.open("s3://hazy").system
    system.mkdir("hazy")
    system.mkdir("clear")
    system.put(f"{folder}/", "hazy/all/", recursive=True)
    rows = done("s3://hazy/all", "s3://clear/of/it")
    assert {row.input for row in rows if row.status == "failed"} == {"s3://hazy/all/bad.jpg"}
    assert [row.error for row in rows if row.error] == [
        "s3://hazy/all/bad.jpg is not a picture in a known format"
    ]
    made = {
        name: system.cat_file(f"clear/of/it/{name}")
        for name in Store.open("s3://clear/of/it").names()
        if not name.startswith(".")
    }
    assert made.keys() == {"a.jpg", "b.png", "deep/a.jpg", "a.tar"}
    alone = Dehazer("kddn-indoor", working_size=32)
    for name in ("a.jpg", "b.png", "deep/a.jpg"):
        assert made[name] == alone.encoded((folder / name).read_bytes())
    (tmp_path / "a.tar").write_bytes(made["a.tar"])
    assert members_of(tmp_path / "a.tar") == {"0.jpg": alone.encoded(picture())}
    assert [row.input for row in done("s3://hazy/all", "s3://clear/of/it")] == [
        "s3://hazy/all/bad.jpg"
    ]
    with pytest.raises(KddnError, match="s3://nowhere/x"):
        done("s3://nowhere/x", "s3://clear/x")


def kddn(*arguments, cwd):
    command = [sys.executable, "-m", "kddn", "batch", *arguments, "--address", "local"]
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_command_that_was_killed_does_the_rest_when_repeated(tmp_path):
    (tmp_path / "in").mkdir()
    hazy = hazy_photograph(640, 480)
    for number in range(150):  # some three times as long as till the manifest's first part
        hazy.save(tmp_path / f"in/{number}.jpg")
    options = ["in", "out", "--model", "kddn-paper"]
    manifest = tmp_path / "out/.kddn-batch"
    process = kddn(*options, "--workers", "2", cwd=tmp_path)
    try:
        while not list(manifest.glob("rows-*")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
    finally:
        for pid in [process.pid, *descendants(process.pid)]:  # as if the power were cut
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
    before = {
        json.loads(line)["input"]: json.loads(line)["output"]
        for part in manifest.glob("rows-*")
        for line in part.read_text().splitlines()
    }
    assert 0 < len(before) < 150
    dates = {path: (tmp_path / path).stat().st_ctime_ns for path in before.values()}
    process = kddn(*options, "--json", cwd=tmp_path)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    rows = [Row(**json.loads(line)) for line in out.splitlines()]
    assert {row.input for row in rows}.isdisjoint(before)
    assert len(rows) + len(before) == len(outputs(tmp_path / "out")) == 150
    assert {path: (tmp_path / path).stat().st_ctime_ns for path in dates} == dates
    last = errors.splitlines()[-1]
    assert re.fullmatch(rf"{len(rows)} pictures in \d+ s, [\d.]+ a second; 0 failed", last)
