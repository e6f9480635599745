"""Shards embedded by a cluster: the same bytes as without one, whatever dies on the way."""

import builtins
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from lookalike.cli.main import main
from lookalike.evaluation import by_ray
from lookalike.evaluation.by_ray import Cluster, ClusterError, embed_by_ray
from lookalike.evaluation.sharded import Source, begin, plan_of, source_of, write_shard
from lookalike.inference.shards import Plan, load_embeddings
from lookalike.model import Model
from lookalike.storage import Folder
from processes import COMMAND
from ray_cluster import QUIET, running_cluster

SHARDS = 4


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def images(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty digits, one file of them no image."""
    folder = tmp_path_factory.mktemp("images") / "train"
    shutil.copytree(digits / "train", folder)
    (folder / "digit 0" / "bad.png").write_bytes(b"x")
    return folder


def load(bundle: Path) -> Model:
    return Model.load(bundle, precision="float32")


@pytest.fixture(scope="module")
def source(images: Path) -> Source:
    return source_of({"root": str(images)})


@pytest.fixture(scope="module")
def plan(bundle_path: Path, source: Source) -> Plan:
    return plan_of(load(bundle_path).encoder, source, SHARDS)


@pytest.fixture(scope="module")
def plain(bundle_path: Path, source: Source, plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process writes."""
    place = Folder(tmp_path_factory.mktemp("plain") / "out")
    begin(place, plan)
    for shard in range(1, SHARDS + 1):
        write_shard(load(bundle_path).encoder, source, place, plan, shard)
    return place.path


def same(first: Path, second: Path) -> bool:
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(file.name for file in second.iterdir())
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def workers() -> list[psutil.Process]:
    """The processes that embed, of any cluster of this machine."""
    running = psutil.process_iter(["cmdline"])
    return [process for process in running if "ray::_Embedder" in " ".join(process.info["cmdline"] or [])]


def test_the_command_writes_what_one_process_writes(
    bundle_path: Path, images: Path, plain: Path, address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_print = builtins.print
    out = tmp_path / "out"
    what = [f"bundle={bundle_path}", f"data.root={images}", f"output={out}", "precision=float32"]
    assert (
        main(
            ["embed", *what, f"shards={SHARDS}", "engine=ray", f"ray.address={address}", "ray.workers=2", "ray.cpus=1"]
        )
        == 0
    )
    shown = capsys.readouterr()
    assert "50 embeddings of 16 dimensions in 4 shards of" in shown.out
    assert "1 image could not be used: broken-00001-of-00004.parquet says why" in shown.err
    assert same(out, plain)
    assert len(load_embeddings(out)) == 50
    assert builtins.print is own_print
    assert not psutil.wait_procs(workers(), timeout=60)[1], "the cluster ends what belonged to the command"


def test_a_killed_worker_costs_its_shard_alone(
    bundle_path: Path,
    source: Source,
    plan: Plan,
    plain: Path,
    address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = Folder(tmp_path / "out")
    begin(place, plan)
    making = embed_by_ray(
        partial(Model.load, bundle_path, precision="float32"), source, place, plan, Cluster(address, 1)
    )
    first = next(making)
    (worker,) = workers()
    worker.kill()
    rest = list(making)
    assert sorted(written.shard for written in (first, *rest)) == [1, 2, 3, 4]
    assert same(place.path, plain)
    assert "its worker died: another one begins it again" in capsys.readouterr().err


def test_a_killed_driver_leaves_whole_shards_and_the_rest_is_done_without_a_cluster(
    bundle_path: Path, images: Path, source: Source, plan: Plan, plain: Path, address: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    what = [f"bundle={bundle_path}", f"data.root={images}", f"output={out}", "precision=float32", f"shards={SHARDS}"]
    command = [sys.executable, "-c", COMMAND, "embed", *what, "engine=ray", f"ray.address={address}", "ray.workers=1"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(out.glob("shard-*.parquet")):
        assert driver.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    psutil.wait_procs(workers(), timeout=60)  # the cluster ends what belonged to it
    whole = {file.name: file.stat().st_mtime_ns for file in out.glob("shard-*.parquet")}
    assert main(["embed", *what]) == 0
    assert same(out, plain)
    assert whole.items() <= {file.name: file.stat().st_mtime_ns for file in out.glob("shard-*.parquet")}.items()


def test_what_a_worker_refuses_is_refused(
    bundle_path: Path, source: Source, plan: Plan, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making = partial(Model.load, bundle_path, precision="float32")
    other = replace(plan, fingerprint="0" * 64)
    begin(Folder(tmp_path / "other"), other)
    with pytest.raises(ClusterError, match=r"^engine=ray: .*other: was begun with fingerprint 000000000000, now it is"):
        list(embed_by_ray(making, source, Folder(tmp_path / "other"), other, Cluster(address, 1)))
    begin(Folder(tmp_path / "out"), plan)
    gone = partial(Model.load, tmp_path / "nowhere")
    with pytest.raises(ClusterError, match=r"^engine=ray: .*nowhere: no bundle here") as raised:
        list(embed_by_ray(gone, source, Folder(tmp_path / "out"), plan, Cluster(address, 1)))
    assert "\n" not in str(raised.value)
    own = by_ray.versions()
    monkeypatch.setattr(by_ray, "versions", lambda: {**own, "numpy": "1.0"})
    with pytest.raises(
        ClusterError, match=rf"^engine=ray: numpy is {own['numpy']} on a machine of the cluster, 1\.0 here"
    ):
        list(embed_by_ray(making, source, Folder(tmp_path / "out"), plan, Cluster(address, 1)))
    with pytest.raises(
        ClusterError, match=r"^engine=ray: 3 worker\(s\) want 3 CPUs, and the cluster has 2: give fewer"
    ):
        list(embed_by_ray(making, source, Folder(tmp_path / "out"), plan, Cluster(address, 3)))
    with pytest.raises(ClusterError, match=r"want 1 GPUs, and the cluster has 0"):
        list(embed_by_ray(making, source, Folder(tmp_path / "out"), plan, Cluster(address, 1, gpus=1)))


def test_a_shard_that_kills_every_worker_is_named(
    bundle_path: Path, source: Source, plan: Plan, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray import cloudpickle

    monkeypatch.setattr(by_ray, "_DEATHS", 2)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no module of tests is there on its machines
    try:
        begin(Folder(tmp_path / "out"), plan)
        deadly = replace(source, images=lambda rows: os.kill(os.getpid(), signal.SIGKILL))
        with pytest.raises(
            ClusterError, match=r"^shard [12] of 4: its worker died 2 times .*embed it alone with shard="
        ):
            list(
                embed_by_ray(
                    partial(Model.load, bundle_path, precision="float32"),
                    deadly,
                    Folder(tmp_path / "out"),
                    plan,
                    Cluster(address, 1),
                )
            )
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        (
            "ray://127.0.0.1:{closed}",
            r"^engine=ray: ray://127\.0\.0\.1:\d+ cannot be reached \(.*refused\): is the cluster up",
        ),
        ("127.0.0.1", r"^ray\.address=127\.0\.0\.1: expected auto, <host>:<port> or ray://<host>:<port>"),
        ("auto", r"^ray\.address=auto: this machine belongs to no cluster: ray start on it, or give <host>:<port>"),
        ("ray://:1", r"expected auto, <host>:<port> or ray://<host>:<port>"),
    ],
)
def test_a_cluster_that_is_not_there(
    address: str,
    refused: str,
    bundle_path: Path,
    source: Source,
    plan: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    cluster = Cluster(address.format(closed=closed))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(ClusterError, match=refused):
        list(
            embed_by_ray(
                partial(Model.load, bundle_path, precision="float32"), source, Folder(tmp_path / "out"), plan, cluster
            )
        )
    assert not (tmp_path / "out").exists(), "nothing was begun"


def test_one_part_and_a_cluster_are_two_ways(bundle_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", f"bundle={bundle_path}", "engine=ray", "shard=1/2"]) == 2
    assert "shard=1/2 and engine=ray: a cluster writes all that lack: leave one of them out" in capsys.readouterr().err
    assert main(["embed", f"bundle={bundle_path}", "ray.workers=2"]) == 2
    assert "ray.workers=2: is of engine=ray, and the engine is local: give engine=ray" in capsys.readouterr().err
    assert main(["embed", f"bundle={bundle_path}", "engine=ray", "ray.cpu=1"]) == 2
    text = capsys.readouterr().err
    assert "did you mean cpus?" in text
