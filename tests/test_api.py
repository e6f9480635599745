"""What a notebook imports: `train`, `audit`, and names that are loaded when they are first used."""

import json
import random
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import lookalike
from conftest import TINY
from lookalike import Audit, Dataset, LookalikeError, Model, audit, train
from lookalike.auditing import audit as auditing
from lookalike.data.tables import ManifestError
from lookalike.inference.bundle import BundleError
from lookalike.settings.check import SettingsError
from lookalike.settings.compose import UsageError

PUBLIC = {
    "pull",
    "push",
    "Assessment",
    "Audit",
    "Client",
    "Dataset",
    "Explanation",
    "Gallery",
    "LookalikeError",
    "Model",
    "Neighbour",
    "Prediction",
    "Predictions",
    "RetrievalResult",
    "ServiceError",
    "audit",
    "evaluate",
    "train",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dotted() -> dict[str, Any]:
    """The tiny settings as `{"trainer.max_epochs": "2", ...}`."""
    return dict(setting.split("=") for setting in TINY)


def tiny(run: str, **changes: Any) -> dict[str, Any]:
    return {**dotted(), "run": run, "trainer.max_epochs": 1, **changes}


def weights(run: str) -> bytes:
    return Path("models", run, "model.safetensors").read_bytes()


def test_settings_are_the_same_however_they_are_given(digits: Path, home: Path) -> None:
    given = dotted()
    groups = {name: given.pop(name) for name in ("model", "logger")}
    in_dicts: dict[str, Any] = {}
    for name, text in given.items():
        group, _, setting = name.partition(".")
        number = float(text) if "." in text else int(text) if text.isdigit() else text
        in_dicts.setdefault(group, {})[setting] = {"false": False}.get(text, number)
    inside = in_dicts.pop("model")  # its group has the same name as its dict
    by_dots = train(digits, run="dots", **{**groups, **given})
    by_dicts = train(Dataset(digits), run="dicts", **groups, **in_dicts, **{f"model.{k}": v for k, v in inside.items()})
    assert weights("dots") == weights("dicts")
    assert by_dots.encoder.fingerprint == by_dicts.encoder.fingerprint
    assert (by_dots.name, len(by_dots.references), by_dots.labels) == ("dots", 50, Dataset(digits).labels)
    assert by_dots.bundle is not None
    assert by_dots.bundle.config.training.settings["trainer"]["batch_size"] == 8
    assert sorted(entry.name for entry in home.iterdir()) == ["checkpoint", "models"]


def drawn_so_far() -> tuple[object, bytes, list[int]]:
    """Where the generators of Python, NumPy and torch stand."""
    of_numpy = np.random.get_state()[1]  # noqa: NPY002
    return random.getstate(), of_numpy.tobytes(), torch.get_rng_state().tolist()


def test_training_leaves_the_calling_program_as_it_was(digits: Path, home: Path) -> None:
    """Else a notebook draws the same "random" numbers after every training, on other threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        before = drawn_so_far()
        filters = list(warnings.filters)
        train(digits, run="aside", **dotted())
        assert drawn_so_far() == before
        assert torch.get_num_threads() == 1
        assert torch.utils.deterministic.fill_uninitialized_memory
        assert warnings.filters == filters
    finally:
        torch.set_num_threads(threads)


def test_lists_none_and_paths_are_python_values(digits: Path, home: Path) -> None:
    folders = {"models_dir": home / "elsewhere", "checkpoint_dir": home / "state"}
    model = train(
        digits,
        **tiny(
            "p", **{"model.trainable": ["layer4", "head"], "model.mean": [0.5, 0.5, 0.5], "augment.per_class": None}
        ),
        **folders,
        loss="cosface",
        online="none",
    )
    assert model.bundle is not None
    config = model.bundle.config
    assert model.bundle.path == home / "elsewhere" / "p"
    assert (config.model.trainable, config.model.mean) == (["layer4", "head"], [0.5, 0.5, 0.5])
    assert config.loss["name"] == "cosface"
    assert (home / "state" / "p" / "last.ckpt").is_file()


def test_the_data_set_is_opened_as_it_was(digits: Path, home: Path) -> None:
    shutil.copytree(digits / "train", home / "data" / "train")
    model = train(Dataset("data", validation_share=0.2, seed=7), **tiny("h"))
    assert (model.held_out.validation_share, model.held_out.seed) == (0.2, 7)
    as_mapping = train({"root": "data", "validation_share": 0.2, "seed": 7}, **tiny("m"))
    assert weights("h") == weights("m")
    assert as_mapping.evaluate("data").metrics == model.evaluate("data").metrics


def test_a_finished_run_is_loaded_and_a_longer_one_is_another(
    digits: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(digits, **tiny("r"))
    before = Path("models/r/config.json").stat().st_mtime_ns
    again = train(digits, **tiny("r"))
    assert "run r is finished: nothing to do" in capsys.readouterr().err
    assert Path("models/r/config.json").stat().st_mtime_ns == before
    assert again.encoder.fingerprint == first.encoder.fingerprint
    with pytest.raises(LookalikeError, match=r"run r was started with other settings: trainer\.max_epochs was 1, is 2"):
        train(digits, **{**tiny("r"), "trainer.max_epochs": 2})
    shutil.rmtree("models/r")
    assert train(digits, **tiny("r")).encoder.fingerprint == first.encoder.fingerprint, "only exported again"
    other = train(digits, **tiny("r"), resume="never", seed=5)
    assert other.encoder.fingerprint != first.encoder.fingerprint
    assert len([entry for entry in Path("models").iterdir() if entry.name.startswith("r.")]) == 1


def test_a_run_that_was_stopped_goes_on(digits: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.training.callbacks import KeepState

    whole = train(digits, **{**tiny("whole"), "trainer.max_epochs": 2})
    write, calls = KeepState._write, 0

    def stop(*given: Any) -> None:
        nonlocal calls
        write(*given)
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(KeepState, "_write", stop)
    with pytest.raises(KeyboardInterrupt):
        train(digits, **{**tiny("r"), "trainer.max_epochs": 2})
    assert not Path("models/r").exists()
    assert train(digits, **{**tiny("r"), "trainer.max_epochs": 2}).encoder.fingerprint == whole.encoder.fingerprint


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"epochs": 5}, SettingsError, r"^epochs: unknown setting; did you mean trainer\.max_epochs\?"),
        (
            {"trainer": {"max_epoch": 5}},
            SettingsError,
            r"^trainer\.max_epoch: unknown setting; did you mean max_epochs\?",
        ),
        ({"trainer.max_epochs": 0}, SettingsError, r"^trainer\.max_epochs=0: expected greater than or equal to 1"),
        ({"loss": "arcfase"}, UsageError, r"^loss=arcfase: no such option; did you mean arcface\?"),
        ({"model": None}, UsageError, r"^model=None: no such option; options: "),
        ({"loss": {"margin": 3}}, SettingsError, r"^loss\.margin: unknown setting; did you mean margin_degrees"),
        (
            {"seed": -1, "trainer": {"batch_size": 1}},
            SettingsError,
            r"^2 wrong settings:\n  seed=-1: .*\n  trainer\.",
        ),
        ({"run": "a/b"}, SettingsError, r"^run=a/b: expected a name without slashes"),
    ],
)
def test_a_wrong_setting_stops_before_any_data_is_read(
    home: Path, settings: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        train("/nowhere", **settings)
    assert list(home.iterdir()) == []


def test_data_that_cannot_be_trained_on_is_explained(digits: Path, home: Path) -> None:
    with pytest.raises(ManifestError, match=r"/nowhere: no such folder or table"):
        train("/nowhere", **tiny("r"))
    shutil.copytree(digits / "train", home / "data" / "train")
    with pytest.raises(ManifestError, match=r"data: no validation images, so the best model cannot be chosen"):
        train("data", **tiny("r"))


@pytest.fixture
def spoilt(digits: Path, tmp_path: Path) -> Path:
    """Digits with a copy that leaks, a file that is none, and a class that only the test split has."""
    root = Path(shutil.copytree(digits, tmp_path / "spoilt"))
    source = sorted((root / "test" / "digit 0").iterdir())[0]
    shutil.copyfile(source, root / "train" / "digit 0" / "leak.png")
    (root / "train" / "digit 1" / "text.png").write_text("no image")
    shutil.copytree(root / "test" / "digit 2", root / "test" / "digit 9")
    return root


def kinds(result: Audit) -> dict[str, int]:
    return result.findings["kind"].value_counts().to_dict()


def test_an_audit_finds_what_is_wrong_and_leaves_nothing_behind(
    spoilt: Path,
    bundle_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(path.relative_to(spoilt).as_posix() for path in spoilt.rglob("*"))
    result = audit(str(spoilt), bundle=bundle_path)
    assert isinstance(result, Audit)
    assert kinds(result)["unusable"] == 1
    assert "of 1 label(s) that no reference has, so they are unknown individuals" in capsys.readouterr().err
    assert "train/digit 0/leak.png" in result.safe
    assert "findings" in str(result)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spoilt"]
    assert sorted(path.relative_to(spoilt).as_posix() for path in spoilt.rglob("*")) == before


def test_an_audit_is_written_and_not_read_twice(
    digits: Path, bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    first = audit(Dataset(digits), bundle=str(bundle_path), output=output)
    assert first.facts.read == 90
    page = (output / "audit.html").read_text()
    assert "<html" in page
    table = pd.read_parquet(output / "audit.parquet")
    assert len(table) == len(first.findings)
    again = audit(digits, bundle=bundle_path, output=str(output))
    assert again.facts.read == 0
    pd.testing.assert_frame_equal(again.findings, first.findings)
    assert np.array_equal(again.copies, first.copies)


def test_an_audit_holds_out_what_the_model_held_out(digits: Path, home: Path) -> None:
    shutil.copytree(digits / "train", home / "data" / "train")
    model = train({"root": "data", "validation_share": 0.2, "seed": 3}, **tiny("h"))
    assert model.bundle is not None
    held = audit("data", bundle=model.bundle.path)
    assert held.rows["split"].value_counts().to_dict() == {"train": 40, "validation": 10}
    own = audit({"root": "data", "validation_share": 0.5}, bundle=model.bundle.path)
    assert own.rows["split"].value_counts().to_dict() == {"train": 25, "validation": 25}


def test_an_audit_without_a_bundle_uses_the_bundled_backbone(few_produce: Path) -> None:
    result = audit(few_produce)
    assert len(result.rows) == result.facts.read > 100
    assert result.facts.embeddings.shape[1] == 1280
    (validation,) = (row for row in result.leaks.to_dict("records") if row["split"] == "validation")
    assert validation["accuracy"] > 0.4


def test_an_audit_that_cannot_be_made_is_refused(digits: Path, bundle_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere: no such folder or table"):
        audit(tmp_path / "nowhere", bundle=bundle_path)
    for data in (None, pd.DataFrame({"path": ["a.jpg"]})):
        for use in (train, audit):
            with pytest.raises(LookalikeError, match=r"data: expected a folder, a table file, a Dataset or its set"):
                use(data)  # type: ignore[operator]
    with pytest.raises(ManifestError, match=r"Dataset: root: expected a path, got DataFrame: write a table to a"):
        Dataset(pd.DataFrame({"path": ["a.jpg"]}))  # type: ignore[arg-type]
    with pytest.raises(LookalikeError, match=r"audit: expected a bundle or a model of one, got bare, which has none"):
        audit(digits, bundle=Model("bare", Model.load(bundle_path).encoder))
    with pytest.raises(BundleError, match=r"no bundle here"):
        audit(digits, bundle=tmp_path / "nowhere")
    with pytest.raises(LookalikeError, match=r"device='gpu': expected one of auto, cpu, cuda"):
        audit(digits, bundle=bundle_path, device="gpu")  # type: ignore[arg-type]
    lock = (
        "import sys, time\nfrom pathlib import Path\nfrom lookalike.files import only_one\n"
        "with only_one(Path(sys.argv[1]) / '.lock', ''):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", lock, str(tmp_path / "out")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LookalikeError, match=r"out is being written by another audit"):
            audit(digits, bundle=bundle_path, output=tmp_path / "out")
        other.communicate()


def test_names_are_there_and_nothing_else_is_promised() -> None:
    assert set(lookalike.__all__) == PUBLIC
    assert set(dir(lookalike)) >= PUBLIC
    for name in PUBLIC:
        assert getattr(lookalike, name).__name__ == name
    assert lookalike.Model is Model
    assert isinstance(lookalike.__version__, str)
    with pytest.raises(AttributeError, match=r"module 'lookalike' has no attribute 'modle'; it has Assessment, "):
        _ = lookalike.modle
    with pytest.raises(ImportError, match="cannot import name 'modle' from 'lookalike'"):
        exec("from lookalike import modle")


def test_importing_loads_none_of_its_parts() -> None:
    code = (
        "import sys, json, lookalike\nbefore = sorted(sys.modules)\nlookalike.LookalikeError\nimport lookalike\n"
        "heavy = {'torch', 'numpy', 'pandas', 'cv2', 'openvino', 'PIL', 'pydantic', 'hydra'}\n"
        "parts = [name for name in before if name.startswith('lookalike.')]\n"
        "print(json.dumps([sorted(heavy & set(before)), parts, dir(lookalike)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    heavy, parts, names = json.loads(done.stdout)
    assert (heavy, parts) == ([], [])
    assert set(names) >= PUBLIC


def test_the_parts_of_an_audit_have_their_own_names() -> None:
    assert lookalike.audit is not auditing.audit
    assert lookalike.Audit is auditing.Audit
