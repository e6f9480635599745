"""A bundle is written whole or not at all, and what stood in its place is kept."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lookalike.files import sha256_of
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.bundle_writer import BundleParts, write_bundle
from lookalike.inference.encoder import openvino_encoder


@pytest.fixture(scope="module")
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path)


def parts_of(bundle: Bundle, card: str = "# Another\n") -> BundleParts:
    return BundleParts(bundle.weights, bundle.graph, bundle.references, card)


def tree(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()
    }


def test_a_bundle_that_is_written_again_is_the_same(bundle: Bundle, digits: Path, tmp_path: Path) -> None:
    card = (bundle.path / "README.md").read_text()
    again = write_bundle(tmp_path / "models" / "again", bundle.config, parts_of(bundle, card))
    assert again.config == bundle.config
    assert tree(again.path) == tree(bundle.path)
    files = [bundle.references.file(row) for row in range(50)]
    assert np.array_equal(openvino_encoder(again).embed(files), bundle.references.embeddings)
    assert [entry.name for entry in (tmp_path / "models").iterdir()] == ["again"]


def test_its_parts_are_copied_under_their_names(bundle: Bundle, tmp_path: Path) -> None:
    for suffix in (".xml", ".bin"):
        shutil.copyfile(bundle.graph.with_suffix(suffix), tmp_path / f"7{suffix}")
    shutil.copyfile(bundle.weights, tmp_path / "best.safetensors")
    parts = BundleParts(tmp_path / "best.safetensors", tmp_path / "7.xml", bundle.references, "# Crème\n")
    made = write_bundle(tmp_path / "made", bundle.config, parts)
    assert sorted(tree(made.path)) == [
        "README.md",
        "config.json",
        "gallery/embeddings.npy",
        "gallery/gallery.json",
        "gallery/rows.csv",
        "model.bin",
        "model.safetensors",
        "model.xml",
    ]
    assert (made.path / "README.md").read_text(encoding="utf-8") == "# Crème\n"
    assert (tmp_path / "7.xml").is_file(), "what it was made of stays"


def test_what_stood_there_is_kept_under_a_dated_name(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    write_bundle(path, bundle.config, parts_of(bundle, "# First\n"))
    write_bundle(path, bundle.config, parts_of(bundle, "# Second\n"))
    write_bundle(path, bundle.config, parts_of(bundle, "# Third\n"))
    kept = sorted(entry for entry in tmp_path.iterdir() if entry != path)
    assert all(re.fullmatch(r"mine(-\d+)?\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", entry.name) for entry in kept)
    cards = [(load_bundle(folder).path / "README.md").read_text() for folder in [*kept, path]]
    assert sorted(cards[:2]) == ["# First\n", "# Second\n"]
    assert cards[2] == "# Third\n"


@pytest.mark.parametrize("missing", ["best.safetensors", "graph.bin"])
def test_a_part_that_is_missing_leaves_the_old_bundle(bundle: Bundle, tmp_path: Path, missing: str) -> None:
    for suffix in (".xml", ".bin"):
        shutil.copyfile(bundle.graph.with_suffix(suffix), tmp_path / f"graph{suffix}")
    shutil.copyfile(bundle.weights, tmp_path / "best.safetensors")
    path = write_bundle(tmp_path / "models" / "mine", bundle.config, parts_of(bundle)).path
    before = tree(path)
    (tmp_path / missing).unlink()
    parts = BundleParts(tmp_path / "best.safetensors", tmp_path / "graph.xml", bundle.references, "# New\n")
    with pytest.raises(FileNotFoundError, match=missing):
        write_bundle(path, bundle.config, parts)
    assert tree(path) == before
    assert [entry.name for entry in path.parent.iterdir()] == ["mine"]


REWRITE = """
import os, resource, signal, sys
from pathlib import Path
from lookalike.files import DiskFullError
from lookalike.inference import bundle_writer
from lookalike.inference.bundle import load_bundle
bundle, path, what = load_bundle(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]
parts = bundle_writer.BundleParts(bundle.weights, bundle.graph, bundle.references, "# New\\n")
if what == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
else:
    inner, calls = bundle_writer.sha256_of, 0
    def dying(file):
        global calls
        calls += 1
        if calls == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(file)
    bundle_writer.sha256_of = dying
try:
    bundle_writer.write_bundle(path, bundle.config, parts)
except DiskFullError as error:
    print(error)
"""


def rewrite(bundle: Bundle, path: Path, what: str, value: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", REWRITE, str(bundle.path), str(path), what, str(value)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("room", [1_000, 100_000])
@pytest.mark.parametrize("standing", [True, False])
def test_a_full_disk_leaves_the_old_bundle_or_nothing(
    bundle: Bundle, tmp_path: Path, room: int, standing: bool
) -> None:
    """A limit on file size stands for a full disk: small files fit, larger ones do not."""
    path = tmp_path / "mine"
    if standing:
        write_bundle(path, bundle.config, parts_of(bundle, "# Old\n"))
    before = tree(tmp_path)
    done = rewrite(bundle, path, "full", room)
    assert done.returncode == 0, done.stderr
    assert f"{path}: no space left to write it" in done.stdout
    assert "what was there before is unchanged: free some space" in done.stdout
    assert tree(tmp_path) == before


@pytest.mark.parametrize("file", [1, 7])
def test_a_killed_writer_leaves_the_old_bundle_and_the_next_one_tidies_up(
    bundle: Bundle, tmp_path: Path, file: int
) -> None:
    path = write_bundle(tmp_path / "mine", bundle.config, parts_of(bundle, "# Old\n")).path
    before = tree(path)
    assert rewrite(bundle, path, "killed", file).returncode == -signal.SIGKILL
    assert tree(path) == before
    assert load_bundle(path).config == bundle.config
    write_bundle(path, bundle.config, parts_of(bundle, "# New\n"))
    assert (path / "README.md").read_text() == "# New\n"
    assert not [entry for entry in tmp_path.iterdir() if entry.name.endswith(".tmp")]
