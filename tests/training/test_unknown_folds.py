"""Trainings without some labels show what unknown images look like."""

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.data.hold_out import label_folds
from lookalike.data.reading import read_manifest
from lookalike.inference.bundle import Bundle, load_bundle
from lookalike.inference.bundle_config import OpenSet, UnknownsConfig
from lookalike.training.plan import Plan
from lookalike.training.unknown_folds import unknowns_by_folds


@pytest.fixture
def plan(digits: Path) -> Plan:
    settings = read_settings(
        "train", [f"data.root={digits}", "run=r", "false_accept_rate=0.1", "gallery.include=[train,val]", *TINY]
    )
    return Plan(settings, read_manifest(digits))


def answered(bundle_path: Path, *, trained: bool) -> Bundle:
    bundle = load_bundle(bundle_path)
    open_set = OpenSet(unknowns=UnknownsConfig(similarity=[0.5, 0.4], labels=[0, 1], trained=trained))
    return replace(bundle, config=bundle.config.model_copy(update={"open_set": open_set}))


def test_every_fold_is_trained_without_other_labels(plan: Plan, bundle_path: Path) -> None:
    trained: list[Plan] = []

    def train(fold: Plan) -> Bundle:
        trained.append(fold)
        return answered(bundle_path, trained=False)

    unknowns = unknowns_by_folds(plan, train)
    assert unknowns is not None
    assert (unknowns.similarity, unknowns.labels) == ([0.5, 0.4, 0.5, 0.4], [0, 1, 2, 3])
    assert (unknowns.trained, unknowns.folds) == (False, 2)
    missing = [set(plan.manifest.labels) - set(fold.manifest.labels) for fold in trained]
    assert [len(labels) for labels in missing] == [1, 1]
    assert missing[0] != missing[1]
    for fold, labels in zip(trained, missing, strict=True):
        asking = fold.manifest.protocol("validation").queries
        assert (asking["label"].isin(labels)).sum() == 14, "training and validation images of that digit"
        assert len(asking) == 20 + 10
        settings = fold.settings
        assert (settings.false_accept_rate, settings.logger) == (None, {})
        assert fold.checkpoint.is_relative_to(plan.checkpoint)
        assert fold.target.is_relative_to(plan.checkpoint)
        assert settings.trainer == plan.settings.trainer
        assert settings.gallery.include == ["train"], "its bundle is for measuring"
    assert set(plan.manifest.labels) == {f"digit {number}" for number in range(5)}, "the run keeps all of them"


def test_a_fold_has_labels_enough_for_its_batches(plan: Plan, bundle_path: Path) -> None:
    """Else the run would end after its own training, when the first fold begins."""
    trainer = plan.settings.trainer.model_copy(update={"batches": "labels", "labels_per_batch": 5})
    by_label = replace(plan, settings=plan.settings.model_copy(update={"trainer": trainer}))
    sizes: list[int] = []

    def train(fold: Plan) -> Bundle:
        sizes.append(fold.settings.trainer.labels_per_batch)
        return answered(bundle_path, trained=False)

    unknowns_by_folds(by_label, train)
    assert sizes == [4, 4]


def test_nothing_is_trained_where_it_is_not_needed(plan: Plan, bundle_path: Path) -> None:
    def never(fold: Plan) -> Bundle:
        raise AssertionError(fold.run)

    for change in ({"false_accept_rate": None}, {"unknown_folds": 0}):
        assert unknowns_by_folds(replace(plan, settings=plan.settings.model_copy(update=change)), never) is None
    table = plan.manifest.table
    stranger = table["label"].where((table["split"] != "validation") | (table["label"] != "digit 0"), "digit 9")
    own = replace(plan, manifest=replace(plan.manifest, table=table.assign(label=stranger)))
    assert unknowns_by_folds(own, never) is None, "validation has an unknown label of its own"
    assert unknowns_by_folds(plan, lambda fold: answered(bundle_path, trained=True)) is None


def test_folds_are_a_function_of_the_seed_and_leave_labels_to_train_on() -> None:
    labels = [f"{number:02}" for number in range(10)]
    parts = label_folds(labels, 0.2, 5, seed=0)
    assert parts == label_folds(labels[::-1], 0.2, 5, seed=0)
    assert sorted(label for part in parts for label in part) == labels, "five fifths are all of them, each once"
    assert label_folds(labels, 0.2, 5, seed=1) != parts
    assert len(label_folds(labels, 0.2, 2, seed=0)) == 2
    assert label_folds(labels[:3], 0.2, 2, seed=0) == [], "too few to train on the rest"
    assert [len(part) for part in label_folds(labels[:4], 0.9, 3, seed=0)] == [2, 2]
