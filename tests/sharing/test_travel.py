"""What is fetched takes its place whole, or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from hub_server import Hub
from lookalike.cli.main import main
from lookalike.inference.bundle import load_bundle
from lookalike.sharing.travel import pull, push

FULL = """
import resource, sys
from huggingface_hub import constants
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
from lookalike.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk_leaves_what_stood_there(bundle_path: Path, hub: Hub, store: str, here: Path) -> None:
    push(bundle_path, "hf://shop/digits", data_license="mit")
    push(bundle_path, "mlflow://digits", data_license="mit", uri=store)
    before = pull("hf://shop/digits", here / "own").bundle.fingerprint
    names = sorted(path.name for path in here.iterdir() if not path.name.startswith("."))
    for place in (["place=hf://shop/digits"], ["place=mlflow://digits", f"uri={store}"]):
        arguments = ["pull", *place, "output=own"]
        done = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert done.stderr.strip().count("\n") == 0, done.stderr
        assert "File too large" in done.stderr or "no room" in done.stderr
        assert sorted(path.name for path in here.iterdir() if not path.name.startswith(".")) == names
    assert load_bundle(here / "own").fingerprint == before


def test_a_file_is_no_place_for_a_bundle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own").write_text("mine")
    assert main(["pull", "place=hf://shop/digits", "output=own"]) == 2
    assert "own: expected a folder to write, found a file: give another output" in capsys.readouterr().err
    assert (here / "own").read_text() == "mine"
    (here / "data").mkdir()
    (here / "data" / "a.jpg").write_text("mine")
    assert main(["pull", "place=hf://shop/digits", "output=data"]) == 2
    assert "(with config.json), found others' files (a.jpg): give another output" in capsys.readouterr().err
