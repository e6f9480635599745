"""The gallery of example photographs: made once, and made again where a process was killed over it."""

from pathlib import Path

import pooch
import pytest
import requests

from lookalike import Gallery, Model
from lookalike.data import example
from lookalike.files import DiskFullError
from lookalike.serving.demo import demo_gallery
from processes import Child


@pytest.fixture
def quick(bundle_path: Path, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits in place of photographs, and a network that needs no torch."""
    monkeypatch.setenv("LOOKALIKE_DATA", str(digits))
    monkeypatch.setattr(Model, "pretrained", lambda name: Model.load(bundle_path))


def test_it_is_made_once(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache" / "demo"
    assert demo_gallery(folder) == folder
    with Gallery.open(folder) as gallery:
        assert gallery.labels == {f"digit {label}": 6 for label in range(5)}
        assert gallery.log()[0].note == "example photographs"
        made = gallery.log()[0].time
    monkeypatch.setattr(Model, "pretrained", None)
    assert demo_gallery(folder) == folder
    with Gallery.open(folder) as gallery:
        assert (gallery.log()[0].time, gallery.version) == (made, 1)
    assert [path.name for path in folder.parent.iterdir()] == ["demo"], "nothing is left beside it"


def test_what_fails_leaves_nothing(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> list[int]:
        raise DiskFullError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr(Gallery, "add", full)
        with pytest.raises(DiskFullError, match="no space left"):
            demo_gallery(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []
    demo_gallery(tmp_path / "demo")
    with Gallery.open(tmp_path / "demo") as gallery:
        assert len(gallery) == 30


KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike import Gallery, Model
from lookalike.serving.demo import demo_gallery
bundle, folder, moment = sys.argv[1:]
Model.pretrained = lambda name: Model.load(bundle)
kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
whole = Gallery.add
def add(gallery, *given, **options):
    if moment == "after":
        whole(gallery, *given, **options)
    kill()
Gallery.add = add
demo_gallery(Path(folder))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_over_it_is_no_harm(moment: str, quick: None, bundle_path: Path, tmp_path: Path) -> None:
    """Before it enrols, when the gallery is there and empty, and after, when it has no name yet."""
    done = Child(KILLED, str(bundle_path), str(tmp_path / "demo"), moment).wait()
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "demo").exists()
    assert demo_gallery(tmp_path / "demo") == tmp_path / "demo"
    with Gallery.open(tmp_path / "demo") as gallery:
        assert len(gallery) == 30
        assert gallery.verify()


def test_of_two_processes_the_first_wins(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = Gallery.add

    def meanwhile(gallery: Gallery, *given: object, **options: object) -> list[int]:
        monkeypatch.setattr(Gallery, "add", add)
        demo_gallery(tmp_path / "demo")  # another one is quicker
        return add(gallery, *given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Gallery, "add", meanwhile)
    demo_gallery(tmp_path / "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    with Gallery.open(tmp_path / "demo") as gallery:
        assert (len(gallery), gallery.version) == (30, 1)


@pytest.mark.slow
def test_photographs_are_named_rightly(few_produce: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_DATA", str(few_produce))
    with Gallery.open(demo_gallery(tmp_path / "demo")) as gallery:
        made = gallery.predict(few_produce / "test")
        assert sum(bool(item.right) for item in made) > 0.8 * len(made)


def test_digits_stand_in_where_there_is_no_network(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their images lie beside a table, not below a folder."""
    monkeypatch.delenv("LOOKALIKE_DATA", raising=False)
    monkeypatch.setattr(Model, "pretrained", lambda name: Model.load(bundle_path))
    monkeypatch.setattr(example, "fetch_grocery", _no_network)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    with Gallery.open(demo_gallery(tmp_path / "demo")) as gallery:
        assert gallery.labels == {str(digit): 6 for digit in range(7)}
    assert "no photographs (ConnectionError), so scikit-learn's digits are used" in capsys.readouterr().err


def _no_network(cache: Path) -> Path:
    raise requests.ConnectionError("no network")
