"""Unknown images for the choice of thresholds: other trainings, each without some of the labels, meet those labels.

A network tells labels apart that it was trained on better than others, so these cannot play unknown ones. Each fold is
a whole training with the settings of the run; the run itself is trained on all labels.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lookalike.console import say
from lookalike.data.hold_out import hold_out_labels, label_folds
from lookalike.evaluation.thresholds import has_untrained_queries
from lookalike.inference.bundle import Bundle
from lookalike.inference.bundle_config import UnknownsConfig
from lookalike.metrics.unknowns import pooled
from lookalike.training.plan import Plan
from lookalike.training.preflight import batches_by_label

_SHARE = 0.2  # of the labels, in each fold


def unknowns_by_folds(plan: Plan, train: Callable[[Plan], Bundle]) -> UnknownsConfig | None:
    """Unknown images of the folds of a run.

    Args:
        plan: The run.
        train: Trains a plan, or goes on with it.

    Returns:
        None where no rate is asked for, no fold is wanted, validation has unknown labels of its own, or the labels are
        too few.
    """
    settings = plan.settings
    if settings.false_accept_rate is None or not settings.unknown_folds:
        return None
    if has_untrained_queries(plan.manifest.protocol("validation"), plan.manifest.labels):
        return None
    parts = label_folds(plan.manifest.labels, _SHARE, settings.unknown_folds, settings.seed)
    samples = []
    for number, labels in enumerate(parts, start=1):
        say(
            f"fold {number} of {len(parts)} (for the false accept rate; unknown_folds=0 leaves them out): trained "
            f"without {len(labels)} of {len(plan.manifest.labels)} labels, which then are unknown"
        )
        bundle = train(_fold(plan, number, labels))
        unknowns = bundle.config.open_set.unknowns
        if unknowns is not None and not unknowns.trained:
            samples.append(unknowns.sample())
    if not samples:
        return None
    whole = pooled(samples)
    return UnknownsConfig(
        similarity=whole.similarity.tolist(), labels=whole.labels.tolist(), trained=False, folds=len(samples)
    )


def _fold(plan: Plan, number: int, labels: list[str]) -> Plan:
    """The same run without some labels, kept inside the run's checkpoint folder and logged nowhere."""
    folder = str(plan.checkpoint / "folds")
    changes: dict[str, Any] = {"run": f"fold-{number}", "models_dir": folder, "checkpoint_dir": f"{folder}/checkpoint"}
    if batches_by_label(plan.settings):
        left, trainer = len(plan.manifest.labels) - len(labels), plan.settings.trainer
        changes["trainer"] = trainer.model_copy(update={"labels_per_batch": min(trainer.labels_per_batch, left)})
    changes["gallery"] = plan.settings.gallery.model_copy(update={"include": ["train"]})  # it is measured, then left
    settings = plan.settings.model_copy(update={**changes, "false_accept_rate": None, "logger": {}, "resume": "auto"})
    table = hold_out_labels(plan.manifest.table, labels)
    return Plan(settings, replace(plan.manifest, table=table), world=plan.world)
