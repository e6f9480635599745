"""A run as it was asked for: its name, its places, and what must be the same when it goes on."""

from pathlib import Path

import pytest

from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.errors import CheckpointError
from lookalike.settings.check import flat
from lookalike.settings.training import Train
from lookalike.training.checkpoint import compare_settings
from lookalike.training.plan import FREE, Plan, run_name


@pytest.fixture(scope="module")
def manifest(digits: Path) -> Manifest:
    return read_manifest(digits)


def settings(root: Path, *more: str) -> Train:
    checked: Train = read_settings("train", [f"data.root={root}", *TINY, *more])
    return checked


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("data/fruits", "fruits"),
        ("/photos/my photos.csv", "my photos"),
        ("data/Market-1501-v15.09.15", "Market-1501-v15.09"),
    ],
)
def test_a_run_without_a_name_is_named_after_what_it_is(root: str, name: str) -> None:
    assert run_name(settings(Path(root), "loss=cosface", "seed=7")) == f"{name}-test_resnet-cosface-s7"


def test_names_and_places(digits: Path, manifest: Manifest, tmp_path: Path) -> None:
    folders = (f"models_dir={tmp_path / 'm'}", f"checkpoint_dir={tmp_path / 'c'}")
    named = Plan(settings(digits, "run=mine", *folders), manifest)
    assert (named.run, named.target, named.checkpoint) == ("mine", tmp_path / "m" / "mine", tmp_path / "c" / "mine")
    nameless = Plan(settings(digits, *folders), manifest)
    assert nameless.run == f"{digits.name}-test_resnet-arcface-s0"
    assert nameless.target.name == nameless.run


def test_what_binds_is_all_but_what_may_differ(digits: Path, manifest: Manifest) -> None:
    asked = settings(digits, "run=mine")
    binding = Plan(asked, manifest).binding_settings
    everything = flat(asked.model_dump())
    free = {name for name in everything if name.startswith(FREE)}
    assert set(binding) == (set(everything) - free) | {"data_fingerprint"}
    assert {"data.root", "trainer.workers", "models_dir", "resume"} <= free
    assert {"seed", "trainer.batch_size", "loss.margin_degrees", "data.validation_share"} <= set(binding)
    assert all(isinstance(value, str | int | float | bool | list | None) for value in binding.values())


@pytest.mark.parametrize("name", FREE)
def test_every_free_name_is_that_of_a_setting(digits: Path, name: str) -> None:
    asked = settings(digits, "logger=mlflow")
    assert any(setting.startswith(name) for setting in flat(asked.model_dump()))


@pytest.mark.parametrize(
    ("change", "binds"),
    [
        ("trainer.workers=3", False),
        ("models_dir=elsewhere", False),
        ("resume=never", False),
        ("trainer.trunk_cache=false", False),
        ("gallery.include=[train,validation]", False),
        ("trainer.batch_size=9", True),
        ("seed=1", True),
        ("loss=cosface", True),
        ("online=none", True),
    ],
)
def test_a_change_binds_or_does_not(digits: Path, manifest: Manifest, change: str, binds: bool) -> None:
    before, after = (Plan(settings(digits, "run=r", *more), manifest).binding_settings for more in ((), (change,)))
    assert (before != after) == binds


def test_other_images_bind_another_place_does_not(digits: Path, manifest: Manifest, few_market: Path) -> None:
    asked = settings(digits, "run=r")
    assert Plan(asked, manifest).binding_settings == Plan(settings(few_market, "run=r"), manifest).binding_settings
    other = Plan(asked, read_manifest(few_market, validation_share=0.2)).binding_settings
    assert other["data_fingerprint"] != Plan(asked, manifest).binding_settings["data_fingerprint"]


def test_a_run_of_before_a_setting_existed_goes_on_while_it_is_off(digits: Path, manifest: Manifest) -> None:
    later = ("data.split", "data.test_share")
    now = Plan(settings(digits, "run=r"), manifest).binding_settings
    assert [now[name] for name in later] == [None, None]
    before = {name: value for name, value in now.items() if name not in later}
    compare_settings("run r", before, now, "")
    changed = Plan(settings(digits, "run=r", "data.split=site"), manifest).binding_settings
    with pytest.raises(CheckpointError, match=r"^run r was started with other settings: data\.split was None, is site"):
        compare_settings("run r", before, changed, "start anew")


def test_where_images_lie_and_what_columns_are_called_does_not_bind(digits: Path, manifest: Manifest) -> None:
    named = settings(digits, "run=r", "data.columns.label=who", "data.images=photos")
    assert Plan(named, manifest).binding_settings == Plan(settings(digits, "run=r"), manifest).binding_settings


def test_a_run_from_before_images_could_be_scaled_otherwise_goes_on(digits: Path, manifest: Manifest) -> None:
    now = Plan(settings(digits, "run=r"), manifest).binding_settings
    before = {name: value for name, value in now.items() if name not in ("pixels.interpolation", "pixels.antialias")}
    assert len(before) == len(now) - 2
    compare_settings("run r", before, now, "start over")
    other = Plan(settings(digits, "run=r", "pixels.interpolation=bicubic"), manifest).binding_settings
    with pytest.raises(CheckpointError, match=r"pixels\.interpolation was None, is bicubic; go back"):
        compare_settings("run r", before, other, "start over")
