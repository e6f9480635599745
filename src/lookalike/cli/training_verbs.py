"""The verbs that train: train, compare, tune, and quantize."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli.inputs import inputs_of
from lookalike.terminal import give, show, show_each, wrote

if TYPE_CHECKING:
    from lookalike.settings.training import Train
    from lookalike.settings.verbs import QuantizeCommand, TuneCommand


def train(settings: "Train") -> int:
    """`lookalike train`."""
    from lookalike.training import run as training

    bundle, result = training.train(settings)
    if result is not None:
        show(result)
        training_arithmetic = bundle.config.training.arithmetic
        show(
            f"arithmetic: {training_arithmetic} in training, {bundle.config.precision} in the bundle and these figures"
        )
        if bundle.config.included is not None:
            show(f"gallery: {bundle.config.included}")
    show(f"bundle: {bundle.path}")
    wrote(bundle.path)
    give(bundle=bundle.path, measured=lambda: {name: part.model_dump() for name, part in bundle.config.metrics.items()})
    return 0


def compare(grid: tuple[Any, list[tuple[dict[str, str], Any]]]) -> int:
    """`lookalike compare`; takes what `read_grid` gives."""
    settings, runs = grid
    from lookalike.experiments.comparison import ComparisonError, conclude
    from lookalike.experiments.grid import Point, run_grid
    from lookalike.files import only_one
    from lookalike.outputs import need_folder
    from lookalike.reports.comparison_page import write
    from lookalike.training.parents import open_parent
    from lookalike.training.run import train

    if settings.resume == "never":
        raise ComparisonError("resume=never: a comparison always goes on: give name=<another> to start over")
    output = Path(settings.output or f"reports/{settings.name}")
    points = [Point(axes, run) for axes, run in runs]
    for inputs in dict.fromkeys(tuple(inputs_of(run).items()) for _, run in runs):  # mostly one data set for all
        need_folder(output, dict(inputs))
    with only_one(output / ".lock", f"comparison {settings.name} is being run by another process"):
        parent = open_parent(settings.name, settings.logger, output)
        measured, diverged = run_grid(points, output, lambda run: train(run, parent))
        comparison = conclude(measured, measured[0].about["protocol"] if measured else "", diverged)
        written = write(comparison, output, settings.name)
        parent.adopt([Path(point.settings.checkpoint_dir) / str(point.settings.run) for point in points])
        parent.close(comparison.figures(), written)
    show(comparison)
    give(figures=comparison.figures, best=comparison.table["group"].iloc[0], diverged=comparison.diverged)
    show_each(written)
    return int(bool(diverged))


def tune(settings: "TuneCommand") -> int:
    """`lookalike tune`."""
    from functools import cache

    from lookalike.experiments.search import search
    from lookalike.files import only_one
    from lookalike.outputs import need_folder
    from lookalike.reports.search_page import command, write
    from lookalike.training.parents import Parent, open_parent
    from lookalike.training.run import train

    output = Path(settings.output or f"reports/{settings.name}")
    need_folder(output, inputs_of(settings))

    @cache
    def parent() -> Parent:  # not before the settings are found right
        return open_parent(settings.name, settings.logger, output)

    with only_one(output / ".lock", f"search {settings.name} is being run by another process"):
        result = search(settings, output, lambda run, watch: train(run, parent(), watch)[0])
        written = write(result, output)
        parent().adopt([Path(settings.checkpoint_dir) / run for run in result.trials["run"]])
        parent().close({"best": float(result.trials["score"].iloc[0])}, written)
    show(result.sentence)
    show(command(output))
    show_each(written)
    give(best=result.trials.iloc[0].to_dict, trials=len(result.trials), command=command(output))
    return 0


def quantize(settings: "QuantizeCommand") -> int:
    """`lookalike quantize`."""
    from lookalike.data.dataset import Dataset
    from lookalike.export.int8 import quantize as to_int8
    from lookalike.inference.bundle import load_bundle
    from lookalike.outputs import need_folder

    folder = Path(settings.bundle).resolve()
    output = Path(settings.output) if settings.output else folder.with_name(f"{folder.name}-int8")
    need_folder(output, inputs_of(settings), replaced=True, ours="config.json")
    bundle = load_bundle(Path(settings.bundle))
    data = Dataset.of_settings(settings.data, bundle.config.training.held_out)
    options = settings.model_dump(include={"images", "max_loss", "seed"})
    made, comparison = to_int8(bundle, data.manifest, output, **options)
    show(comparison)
    show(f"cosine to the float32 graph: at least {comparison.min_cosine:.4f}, mean {comparison.mean_cosine:.4f}")
    show(f"bundle: {made.path}")
    wrote(made.path)
    give(bundle=made.path, quantized=made.config.quantized and made.config.quantized.model_dump(by_alias=True))
    return 0
