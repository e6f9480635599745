"""The examples of the documentation run, and it names every figure that `evaluate` gives."""

import doctest
import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from lookalike import Client, Gallery, RetrievalResult, evaluate
from lookalike.data.layouts.registry import LAYOUTS
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
        assert layout.name in protocols, layout.name
        _, _, _, figures, average_precision, _ = protocols[layout.name]
        assert tuple(re.findall(r"`([^`]+)`", figures)) == layout.standard.metrics, layout.name
        assert average_precision == layout.standard.average_precision, layout.name
        assert f"`{layout.name}`" in files, layout.name
