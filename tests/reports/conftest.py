"""Reports about a tiny model on digits, and about embeddings that a test makes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.data.manifest import Manifest
from lookalike.data.protocol import Protocol
from lookalike.evaluation.identify import Rules, identify
from lookalike.inference.bundle import load_bundle
from lookalike.model import Model
from lookalike.reports.map import lay_out
from lookalike.reports.model_report import Report, gather
from lookalike.reports.similarities import compare_similarities

Gathered = Callable[[Path, str], Report]
Built = Callable[[Manifest, Protocol, np.ndarray, np.ndarray], Report]


@pytest.fixture(scope="session")
def gathered(bundle_path: Path) -> Gathered:
    """The report of the tiny model on a split of a data set."""

    model = Model.load(bundle_path, device="cpu", precision="float32")

    def make(root: Path, split: str) -> Report:
        return gather(model.evaluate(root, split, camera_rule=True), model.bundle, umap=False)

    return make


@pytest.fixture(scope="session")
def report(gathered: Gathered, digits: Path) -> Report:
    """Of the digits' validation split."""
    return gathered(digits, "validation")


@pytest.fixture(scope="session")
def built(bundle_path: Path) -> Built:
    """A report of given embeddings of queries and references."""

    def make(manifest: Manifest, protocol: Protocol, queries: np.ndarray, references: np.ndarray) -> Report:
        identification = identify(queries, references, protocol, Rules())
        similarities = compare_similarities(queries, references, protocol, True)
        flat = lay_out(queries, references, protocol, umap=False)
        about = (str(manifest.root), "float32")
        return Report(
            load_bundle(bundle_path), manifest, protocol, "validation", identification, similarities, flat, *about
        )

    return make


@pytest.fixture(scope="session")
def strangers(bundle_path: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Validation with four queries of a digit without a reference; the threshold for 10 % is in use."""
    root = tmp_path_factory.mktemp("strangers") / "digits"
    shutil.copytree(digits, root)
    shutil.rmtree(root / "train" / "digit 4")
    model = Model.load(bundle_path, device="cpu", precision="float32")
    report = gather(model.evaluate(root, "validation"), model.bundle, umap=False)
    open_set = report.bundle.config.open_set.model_copy(update={"false_accept_rate": 0.1})
    config = report.bundle.config.model_copy(update={"open_set": open_set})
    return replace(report, bundle=replace(report.bundle, config=config))
