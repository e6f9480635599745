"""Measures the ladder of recipes, from frozen features up, on photographs of other shops: docs/accuracy.md.

python benchmarks/accuracy.py --data <table> [--recipes "the default" ...] [--seeds 0 1 2] [--output reports/accuracy]

Trains every recipe with every seed on the training rows of the table, asks its validation rows, and writes the tables
between the marks of docs/accuracy.md. What is finished is not run again; a killed run goes on. Nothing reads a test
split. Nothing there is typed.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from harness import HERE, machine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lookalike import Dataset, Model
from lookalike.experiments.comparison import Comparison, MeasuredRun, conclude
from lookalike.experiments.grid import Point, run_grid
from lookalike.files import as_json, write_bytes
from lookalike.inference.bundle import Bundle
from lookalike.metrics.result import RetrievalResult
from lookalike.settings.check import check
from lookalike.settings.compose import compose
from lookalike.settings.training import Train
from lookalike.terminal import show
from lookalike.training.run import train

PAGE = HERE.parent / "docs" / "accuracy.md"
UNTRAINED = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
_LITE0 = {"model": "efficientnet_lite0"}
_STAGES = ("blocks.3", "blocks.4", "blocks.5", "blocks.6", "conv_head", "bn2", "head")
_DEEP = {**_LITE0, "trainer.learning_rate": 0.0005, "online.views": 8, "model.frozen_batch_norm": True}
RECIPES: dict[str, dict[str, Any]] = {
    "efficientnet_lite0": {**_LITE0, "online.views": 8},  # as many versions as epochs: the same images
    **{
        f"efficientnet_lite0 from {stage}": {**_DEEP, "model.trainable": list(_STAGES[place:])}
        for place, stage in reversed(list(enumerate(_STAGES[:3])))
    },
    **{f"quality={name}": {"quality": name} for name in ("quick", "standard", "best")},
}
REFERENCE = "efficientnet_lite0"  # what the differences are to


@dataclass(frozen=True)
class Untrained:
    """What the first weights reach without training.

    Attributes:
        name: Of the recipe whose network it is.
        neighbours: accuracy@1 of the nearest reference.
        interval: Of it, 95 %.
        probe: Share of the queries that a linear classifier on the features gets right.
        parameters: Of the network.
        seconds: Of embedding all images.
    """

    name: str
    neighbours: float
    interval: tuple[float, float]
    probe: float
    parameters: int
    seconds: float


def untrained(name: str, data: Dataset) -> Untrained:
    """Measures a recipe's network as it comes."""
    model = Model.pretrained(name)
    start = time.perf_counter()
    result = model.evaluate(data, split="validation")
    seconds = time.perf_counter() - start
    manifest = data.manifest
    queries, references = manifest.sides("validation")
    features = [model.embed([manifest.file(path) for path in part["path"]]) for part in (references, queries)]
    scale = StandardScaler().fit(features[0])
    probe = LogisticRegression(C=0.01, max_iter=1000).fit(scale.transform(features[0]), references["label"])
    right = float(np.mean(probe.predict(scale.transform(features[1])) == queries["label"].to_numpy()))
    return Untrained(name, result.metrics["accuracy@1"], result.intervals["accuracy@1"], right, _weights(name), seconds)


def _weights(name: str) -> int:
    from lookalike.models.embedder import Embedder

    recipe = compose("train", [("model", name)])["model"]
    network = Embedder(recipe["backbone"], None)
    return sum(parameter.numel() for parameter in network.parameters())


def points(data: str, recipes: Sequence[str], seeds: Sequence[int], output: Path) -> list[Point]:
    """Every recipe with every seed."""
    made = []
    for recipe in recipes:
        for seed in seeds:
            run = "".join(letter if letter.isalnum() else "-" for letter in recipe) + f"-s{seed}"
            fixed = {
                "data.root": data,
                "seed": seed,
                "run": run,
                "logger": "none",
                "models_dir": str(output / "models"),
                "checkpoint_dir": str(output / "checkpoint"),
            }
            settings = check(Train, compose("train", [*fixed.items(), *RECIPES[recipe].items()]))
            made.append(Point({"recipe": recipe}, settings))
    return made


class Clock:
    """Seconds of whole runs, the trunk's and the export's included, kept in a file.

    Args:
        file: Where they are kept.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seconds: dict[str, float] = json.loads(file.read_text()) if file.is_file() else {}

    def train(self, settings: Train) -> tuple[Bundle, RetrievalResult | None]:
        """Trains; a run that was killed and goes on adds up."""
        start = time.perf_counter()
        try:
            return train(settings)
        finally:
            run = str(settings.run)
            self.seconds[run] = self.seconds.get(run, 0.0) + time.perf_counter() - start
            write_bytes(self.file, as_json(self.seconds))


def ladder(comparison: Comparison, clock: Clock) -> list[str]:
    """The table of trained recipes."""
    lines = [
        "| recipe | accuracy@1 | 95 % | better than the first by | p | mAP | minutes | parameters, trained | seeds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe in RECIPES:
        for row in comparison.table[comparison.table["group"] == f"recipe {recipe}"].to_dict("records"):
            runs = [run for run in comparison.runs if run.group == row["group"]]
            minutes = float(np.median([clock.seconds.get(run.run, np.nan) for run in runs])) / 60
            difference, p = _against(comparison, f"recipe {REFERENCE}", str(row["group"]))
            about = runs[0].about
            lines.append(
                f"| {recipe} | {row['accuracy@1']:.4f} | {row['low']:.4f} to {row['high']:.4f} | {difference} | {p} | "
                f"{row['mAP']:.4f} | {minutes:.1f} | {about['parameters'] / 1e6:.1f} M, "
                f"{about['trained_parameters'] / 1e6:.1f} M | {len(runs)} |"
            )
    return lines


def _against(comparison: Comparison, reference: str, group: str) -> tuple[str, str]:
    for test in comparison.tests.to_dict("records"):
        if {test["first"], test["second"]} == {reference, group}:
            sign = 1 if test["second"] == group else -1  # a difference is second minus first
            return f"{100 * sign * test['difference']:+.1f} points", f"{test['p_holm']:.4f}"
    return "", ""


def write_page(tables: dict[str, list[str]]) -> None:
    """Puts tables between their marks; those that were not measured now stay."""
    text = PAGE.read_text(encoding="utf-8")
    for mark, lines in tables.items():
        begin, end = f"<!-- {mark}: benchmarks/accuracy.py -->", f"<!-- end of {mark} -->"
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}"
    write_bytes(PAGE, text.encode())


def _as_chosen(run: MeasuredRun) -> MeasuredRun:
    """A run as if its arithmetic had been asked for: the quickest one is part of a recipe as people get it."""
    settings = run.about["settings"]
    trainer = {**settings["trainer"], "precision": run.about["arithmetic"]}
    return replace(run, about={**run.about, "settings": {**settings, "trainer": trainer}})


def main() -> None:
    """Measures what is asked for and writes it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="table with training and validation rows")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=[*RECIPES, "untrained"], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path("reports/accuracy"))
    options = parser.parse_args()
    recipes = [recipe for recipe in RECIPES if recipe in options.recipes]
    tables: dict[str, list[str]] = {}
    if "untrained" in options.recipes or len(recipes) == len(RECIPES):
        data = Dataset(options.data)
        lines = [
            "| network as it comes | nearest neighbour | 95 % | linear probe | parameters | seconds for all images |",
            "|---|--:|--:|--:|--:|--:|",
        ]
        for name in UNTRAINED:
            row = untrained(name, data)
            low, high = row.interval
            lines.append(
                f"| {name} | {row.neighbours:.4f} | {low:.4f} to {high:.4f} | {row.probe:.4f} | "
                f"{row.parameters / 1e6:.1f} M | {row.seconds:.0f} |"
            )
        tables["untrained"] = lines
    if recipes:
        clock = Clock(options.output / "seconds.json")
        measured, diverged = run_grid(
            points(options.data, recipes, options.seeds, options.output), options.output, clock.train
        )
        comparison = conclude(list(map(_as_chosen, measured)), measured[0].about["protocol"], diverged)
        tables["recipes"] = [*ladder(comparison, clock), "", comparison.sentence, "", f"Measured on {machine()}."]
    write_page(tables)
    for line in chain.from_iterable(tables.values()):
        show(line)


if __name__ == "__main__":
    main()
