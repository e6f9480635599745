"""The examples of the documentation run, and it names every figure that `evaluate` gives."""

import doctest
import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import requests

from lookalike import Client, Gallery, Model, RetrievalResult, evaluate
from lookalike.data.layouts.registry import LAYOUTS
from lookalike.serving.figures import Figures
from lookalike.training.cpu.precision import Timed
from services import running

DOCS = Path(__file__).parents[1] / "docs"
EVALUATION = DOCS / "evaluation.md"
CLASSES = ("Asparagus", "Avocado", "Banana", "Kiwi", "Lemon", "Lime")  # of the photographs that docs/python.md is about


def run(document: Path, flags: int) -> doctest.TestResults:
    """Runs the examples of a document; what they print is compared."""
    # A closing fence right under an output would be read as part of it.
    text = re.sub(r"^```.*$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, document.name, str(document), 0)
    shown: list[str] = []
    results = doctest.DocTestRunner(optionflags=flags).run(test, out=shown.append)
    assert results.failed == 0, "".join(shown)
    return results


def test_the_examples_of_the_evaluation_give_what_they_say() -> None:
    assert run(EVALUATION, doctest.NORMALIZE_WHITESPACE).attempted >= 40


@pytest.mark.slow
def test_the_examples_in_python_give_what_they_say(
    produce: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On six classes of photographs, eight training, five validation and three test images each."""
    for split, count in (("train", 8), ("validation", 5), ("test", 3)):
        for label in CLASSES:
            (tmp_path / "data" / split / label).mkdir(parents=True)
            for file in sorted((produce / split / label).iterdir())[:count]:
                shutil.copyfile(file, tmp_path / "data" / split / label / file.name)
    monkeypatch.chdir(tmp_path)
    timed = Timed("32-true", {}, {})  # timing them has tests of its own, and takes longer than all the rest
    monkeypatch.setattr("lookalike.training.build.fastest_precision", lambda *_: timed)
    with ExitStack() as services:

        def serving(_: str) -> Client:
            """A client of a service that begins now, on a port that is free."""
            return Client(services.enter_context(running(Gallery.open("shop"))).address)

        monkeypatch.setattr("lookalike.serving.client.Client", serving)
        assert run(DOCS / "python.md", doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).attempted >= 30


def test_every_figure_is_explained() -> None:
    rows = np.eye(3, dtype=np.float32)
    result: RetrievalResult = evaluate(rows, rows, ["a", "b", "z"], ["a", "b", "b"], ks=(1, 5), vote_ks=(1, 5))
    assert {"auroc", "map", "accuracy@5", "recall@5"} <= set(result.metrics)
    names = {*result.metrics, *result.counts, *result.per_query}
    generic = {re.sub(r"@\d+$", "@k", name) for name in names}
    text = EVALUATION.read_text(encoding="utf-8")
    assert [name for name in sorted(generic) if f"`{name}`" not in text] == []


def test_every_published_data_set_stands_with_its_protocol_and_where_its_files_are_told() -> None:
    rows = [line.strip("| ").split(" | ") for line in EVALUATION.read_text("utf-8").splitlines() if line[:3] == "| `"]
    protocols = {name: row for row in rows for name in re.findall(r"`([^`]+)`", row[0]) if len(row) == 6}
    files = (DOCS / "data.md").read_text("utf-8")
    for layout in LAYOUTS:
        assert f"`{layout.name}`" in files, layout.name
        if layout.standard is None:
            continue
        assert layout.name in protocols, layout.name
        _, _, _, figures, average_precision, _ = protocols[layout.name]
        assert tuple(re.findall(r"`([^`]+)`", figures)) == layout.standard.metrics, layout.name
        assert average_precision == layout.standard.average_precision, layout.name


SERVING = DOCS / "serving.md"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are for curl")
def test_every_address_has_an_example_that_is_answered(produce: Path, tmp_path: Path) -> None:
    """In their order, on a gallery of three labels; the document of the service says which addresses there are."""
    examples = re.findall(r"^\$ (curl .*)$", SERVING.read_text(encoding="utf-8"), re.MULTILINE)
    with Gallery.create(tmp_path / "shop", Model.pretrained("efficientnet_lite0")) as made:
        for label in ("Kiwi", "Leek", "Lemon"):
            made.add(sorted((produce / "train" / label).iterdir())[:3])
        (tmp_path / "embeddings.json").write_text(json.dumps({"embeddings": made.references.embeddings[:2].tolist()}))
    for name, file in zip(("new.jpg", "other.jpg"), sorted((produce / "train" / "Lime").iterdir()), strict=False):
        shutil.copyfile(file, tmp_path / name)
    asked: set[str] = set()
    with running(Gallery.open(tmp_path / "shop")) as service:
        host = service.address.rstrip("/")
        for example in examples:
            names = sorted(service.service.unknowns.listing()["items"], key=lambda item: str(item["name"]))
            kept = {name: str(item["name"]) for name, item in zip(("NAME", "OTHER"), names, strict=False)}
            kept.setdefault("OTHER", kept.get("NAME", ""))
            command = f"{example} --silent --show-error --write-out '%{{stderr}}%{{http_code}}'"
            environment = {**os.environ, "HOST": host, **kept}
            done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, b"200"), f"$ {example}\n{done.stdout!r}"
            asked.add(re.split(r"[\s\"?]", example.partition("$HOST")[2])[0])
        document = requests.get(f"{host}/v1/openapi.json", timeout=30).json()
    for path in document["paths"]:
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(path))
        assert any(re.fullmatch(pattern, address) for address in asked), path


def test_every_figure_of_a_service_is_explained() -> None:
    text = SERVING.read_text(encoding="utf-8")
    lines = Figures().text().decode().splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE ")}
    assert len(names) >= 11
    for name in names - {name for name in names if name.endswith("_created")}:
        assert f"`{name}" in text, name
