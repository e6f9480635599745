"""Text that errors share."""

import importlib
import pickle
import sys
from pathlib import Path

import pytest

import lookalike
from lookalike.errors import (
    LookalikeError,
    ModelError,
    did_you_mean,
    extra_with,
    import_problem,
    install,
    listed,
    needing,
)


@pytest.mark.parametrize(
    ("problems", "shown", "text"),
    [
        ([], 20, ""),
        (["a"], 20, "a"),
        (["a", "b"], 20, "a\n  b"),
        (["a", "b", "c"], 3, "a\n  b\n  c"),
        (["a", "b", "c"], 2, "a\n  b\n  ... and 1 more"),
        (["a", "b", "c"], 0, "... and 3 more"),
    ],
)
def test_problems_are_listed_up_to_a_number(problems: list[str], shown: int, text: str) -> None:
    assert str(LookalikeError(listed(problems, shown))) == text
    assert str(ModelError(f"data:\n  {listed(problems, shown)}")) == (f"data:\n  {text}" if text else r"data:\n  ")


def test_twenty_problems_are_shown_by_default() -> None:
    assert str(LookalikeError(listed([str(number) for number in range(25)]))).endswith("  19\n  ... and 5 more")


FORGED = "x\n  lookalike: all 12 files are fine\0\n  \0y.jpg"


def test_a_name_begins_no_line_of_an_error() -> None:
    spelt = r"x\n  lookalike: all 12 files are fine"
    assert str(LookalikeError(f"{FORGED.partition(chr(0))[0]}: damaged")) == f"{spelt}: damaged"
    error = LookalikeError(f"{FORGED.partition(chr(0))[0]}: 2 problems:\n  {listed([FORGED, 'second'])}")
    expected = f"{spelt}: 2 problems:\n  {spelt}" + r"\0\n  \0y.jpg" + "\n  second"
    assert str(error) == expected
    assert str(pickle.loads(pickle.dumps(error))) == expected, "also out of another process"
    assert str(ModelError(f"inside another: {error}")) == "inside another: " + expected.replace("\n", "\\n")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("xy", "; did you mean xyz?"),
        ("arcfase", "; did you mean arcface?"),
        ("circle", ""),
        ("", ""),
        ("cosfaces", "; did you mean cosface or arcface?"),
    ],
)
def test_the_nearest_names_are_hinted_at(name: str, hint: str) -> None:
    assert did_you_mean(name, ["arcface", "cosface", "xyz"]) == hint


def test_a_part_of_a_name_is_near_it() -> None:
    recipes = ["efficientnet_lite0", "efficientnet_lite1", "resnet18"]
    assert did_you_mean("lite0", recipes) == "; did you mean efficientnet_lite0?"
    assert did_you_mean("lite", recipes) == "; did you mean efficientnet_lite0 or efficientnet_lite1?"
    assert did_you_mean("net", recipes) == "", "too short to say anything"


def test_errors_of_the_user_are_one_family() -> None:
    assert issubclass(ModelError, LookalikeError)
    assert issubclass(LookalikeError, ValueError)


@pytest.mark.parametrize(
    ("module", "verb", "extra"),
    [
        ("imagehash", "audit", "audit"),
        ("cleanlab.filter", "", "audit"),
        ("sklearn.datasets", "audit", "audit"),
        ("sklearn", "train", "train"),
        ("nncf", "quantize", "int8"),
        ("umap", "report", "report"),
        ("matplotlib.figure", "tune", "tune"),
        ("pytorch_metric_learning", "", "train"),
        ("wandb", "", "loggers"),
        ("nobody_knows", "", "train"),
    ],
)
def test_the_extra_that_has_a_package(module: str, verb: str, extra: str) -> None:
    assert extra_with(module, verb) == extra


def test_from_a_clone_the_clone_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Path(lookalike.__file__).parents[2]
    monkeypatch.chdir(clone)
    assert install("audit") == "pip install '.[audit]'"
    monkeypatch.chdir(tmp_path)
    assert install("audit") == f"pip install '{clone}[audit]'"


@pytest.mark.parametrize("module", ["sklearn", "openvino", "timm"])
def test_a_package_that_cannot_be_imported_is_told_from_other_errors(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{module}.py").write_text("raise OSError('no libgomp')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, module, raising=False)
    package = {"sklearn": "scikit-learn"}.get(module, module)
    text = rf"^it needs the package {module}, which is there .* \(no libgomp\): .*--force-reinstall {package}$"
    with pytest.raises(LookalikeError, match=text), needing("train", "it"):
        importlib.import_module(module)


def test_other_errors_are_no_import_problem(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), needing("train", "it"):
        (tmp_path / "gone").read_bytes()
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'lookalike"), needing("train", "it"):
        from lookalike.errors import nothing  # type: ignore[attr-defined]
    text = "^it needs the package numpy, which is there .*cannot import name 'nothing'"
    with pytest.raises(LookalikeError, match=text), needing("train", "it"):
        from numpy import nothing  # type: ignore[attr-defined]  # noqa: F401
    assert import_problem(ValueError("x")) is None
