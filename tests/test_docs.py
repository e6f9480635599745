"""The examples of docs/evaluation.md run, and it names every figure that `evaluate` gives."""

import doctest
import re
from pathlib import Path

import numpy as np

from lookalike.metrics.evaluate import evaluate
from lookalike.metrics.result import RetrievalResult

DOCUMENT = Path(__file__).parents[1] / "docs" / "evaluation.md"


def document() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def everything() -> RetrievalResult:
    """A result with every metric: two labels known, one unknown."""
    rows = np.eye(3, dtype=np.float32)
    return evaluate(rows, rows, ["a", "b", "z"], ["a", "b", "b"], ks=(1, 5), vote_ks=(1, 5))


def test_the_examples_give_what_the_document_says() -> None:
    # A closing fence right under an output would be read as part of it.
    text = re.sub(r"^```.*$", "", document(), flags=re.MULTILINE)
    test = doctest.DocTestParser().get_doctest(text, {}, DOCUMENT.name, str(DOCUMENT), 0)
    shown: list[str] = []
    results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=shown.append)
    assert results.failed == 0, "".join(shown)
    assert results.attempted >= 40


def test_every_figure_is_explained() -> None:
    result = everything()
    assert {"auroc", "map", "accuracy@5", "recall@5"} <= set(result.metrics)
    names = {*result.metrics, *result.counts, *result.per_query}
    named = {re.sub(r"@\d+$", "@k", name) for name in names}
    text = document()
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []
