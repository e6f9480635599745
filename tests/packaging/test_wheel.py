"""The wheel, built from this tree and installed alone: what serves a model works without torch.

Its environment sees nothing but the wheel and what the wheel's own metadata ask for, linked from the environment of the
tests: a dependency that is used and not declared is missing there, as it would be for everybody else.
"""

import json
import os
import subprocess
import sys
import venv
import zipfile
from email import message_from_string
from importlib.metadata import Distribution, distribution
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from lookalike.inference.bundle import load_bundle

ROOT = Path(__file__).parents[2]
TRAINING = (
    *("torch", "torchvision", "timm", "lightning", "pytorch_metric_learning", "albumentations", "mlflow", "sklearn"),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without hatchling in this environment pip fetches it into one of its own.
    here = ["--no-build-isolation"] if find_spec("hatchling") else []
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *here, "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("lookalike-*.whl")
    return file


def requirements_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_string(archive.read(name).decode()).get_all("Requires-Dist") or []


def needed(requirements: list[str]) -> dict[str, Distribution]:
    """Installed distributions that requirements mean, and what those need in turn."""
    chosen: dict[str, Distribution] = {}
    waiting = [(Requirement(text), frozenset[str]()) for text in requirements]
    visited: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement, extras = waiting.pop()
        wanted = any(
            requirement.marker is None or requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")
        )
        key = (requirement.name, frozenset(requirement.extras))
        if not wanted or key in visited:
            continue
        visited.add(key)
        chosen[requirement.name] = distribution(requirement.name)
        waiting += [(Requirement(text), key[1]) for text in chosen[requirement.name].requires or []]
    return chosen


def link(chosen: dict[str, Distribution], folder: Path) -> None:
    """Links the modules and metadata of distributions into a folder."""
    for package in chosen.values():
        tops = {file.parts[0] for file in package.files or [] if file.parts[0] != ".."} - {"__pycache__"}
        for top in tops:
            target = Path(str(package.locate_file(top)))
            if target.exists() and not (folder / top).exists():
                (folder / top).symlink_to(target)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and its declared dependencies alone."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home / "venv", with_pip=False, symlinks=True)
    python = home / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (home / "linked").mkdir()
    link(needed(requirements_of(wheel)), home / "linked")
    (site,) = (home / "venv" / "lib").glob("python*/site-packages")
    (site / "linked.pth").write_text(f"{home / 'linked'}\n")
    return python.parent


def run(command: list[str], where: Path) -> "subprocess.CompletedProcess[str]":
    """Without this tree on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=300, env=kept)


def test_it_holds_every_file_of_the_package_and_its_settings(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        (inside / file.relative_to(folder)).as_posix()
        for folder, inside in (
            (ROOT / "src/lookalike", Path("lookalike")),
            (ROOT / "configs", Path("lookalike/configs")),
        )
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert held == expected
    assert {"lookalike/py.typed", "lookalike/configs/predict.yaml"} < held


def test_nothing_of_training_is_in_its_environment(installed: Path, tmp_path: Path) -> None:
    code = (
        f"import importlib.util, json\nfind = importlib.util.find_spec\nnames = {TRAINING!r}\n"
        "print(json.dumps([[name for name in names if find(name)], find('lookalike').origin]))"
    )
    done = run([str(installed / "python"), "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    there, origin = json.loads(done.stdout)
    assert there == []
    assert Path(origin).is_relative_to(installed.parent)


def test_predict_eval_and_embed_run_as_commands(
    installed: Path, bundle_path: Path, digits: Path, tmp_path: Path
) -> None:
    def lookalike(*arguments: str) -> str:
        done = run([str(installed / "lookalike"), *arguments], tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert lookalike("--version").startswith("lookalike ")
    bundle = f"bundle={bundle_path}"
    image = sorted((digits / "test" / "digit 3").iterdir())[0]
    lookalike("predict", bundle, f"image={image}", "k=3")
    (written,) = (tmp_path / "predictions").glob("*.json")
    (item,) = json.loads(written.read_text())["items"]
    assert (item["truth"], len(item["neighbours"])) == ("digit 3", 3)
    assert list((tmp_path / "predictions").glob("*.png"))
    lookalike("eval", bundle, f"data.root={digits}")
    report = json.loads((tmp_path / "reports" / "tiny-validation.json").read_text())
    stored = load_bundle(bundle_path).config.metrics["validation"].metrics
    assert {name: report["metrics"][name] for name in stored} == stored
    assert (tmp_path / "reports" / "tiny-validation.parquet").is_file()
    lookalike("embed", bundle, f"data.root={digits / 'test'}")
    assert np.load(tmp_path / "embeddings" / "embeddings.npy").shape == (20, 16)
    refused = run([str(installed / "lookalike"), "train", f"data.root={digits}"], tmp_path)
    assert refused.returncode == 2
    assert "pip install 'lookalike[train]'" in refused.stderr
    assert refused.stderr.strip().count("\n") == 0


NOTEBOOK = """
import json, sys
from pathlib import Path
from lookalike import Dataset, Gallery, LookalikeError, Model, evaluate, train

bundle, root = sys.argv[1:]
model, data = Model.load(bundle), Dataset(root)
files = sorted(Path(root).glob("test/*/*.png"))
vectors = model.embed(files)
gallery = Gallery.create("shop", model)
gallery.add(Path(root, "train"))
gallery.rename("digit 0", "zero")
gallery.remove(label="digit 4")
prediction = gallery.predict(files[0], k=5)
prediction.figure().save("figure.png")
with Gallery.open("shop", model) as again:
    labels = again.labels
assessment = model.evaluate(data)
plain = evaluate(vectors, vectors, [f.parent.name for f in files], [f.parent.name for f in files], exclude_self=True)
refused = []
for needs in (lambda: train(data), Model.pretrained):
    try:
        needs()
    except LookalikeError as error:
        refused.append(str(error))
print(json.dumps({
    "shape": vectors.shape, "label": prediction.label, "labels": labels, "metrics": assessment.metrics,
    "map": plain.metrics["map"], "refused": refused, "table": len(assessment.table()),
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


def test_the_lines_of_a_notebook_run(installed: Path, bundle_path: Path, digits: Path, tmp_path: Path) -> None:
    done = run([str(installed / "python"), "-c", NOTEBOOK, str(bundle_path), str(digits)], tmp_path)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers["shape"] == [20, 16]
    assert answers["label"] in answers["labels"]
    assert answers["labels"] == {"digit 1": 10, "digit 2": 10, "digit 3": 10, "zero": 10}
    stored = load_bundle(bundle_path).config.metrics["validation"].metrics
    assert {name: answers["metrics"][name] for name in stored} == stored
    assert 0 < answers["map"] <= 1
    assert answers["table"] == 20
    assert [text.partition(" needs the package ")[0] for text in answers["refused"]] == ["train", "Model.pretrained"]
    assert not set(TRAINING) & set(answers["loaded"])
    assert (tmp_path / "figure.png").is_file()


MODULES = {
    "hydra-core": "hydra",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
}


def test_everything_that_is_declared_is_used(wheel: Path) -> None:
    """What is imported nowhere would be fetched by everybody for nothing; pandas needs pyarrow for Parquet."""
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    for requirement in map(Requirement, requirements_of(wheel)):
        module = MODULES.get(requirement.name, requirement.name)
        if requirement.marker is None and module != "pyarrow":
            assert f"import {module}" in sources or f"from {module}" in sources, module
