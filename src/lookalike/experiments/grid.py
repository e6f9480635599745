"""A grid of training runs on the same data, measured on the same queries, and what that says.

A run that is finished is not run again, a killed one goes on from its checkpoint.

Letters in shapes: G settings compared, S seeds, Q queries.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from lookalike.console import say
from lookalike.data.reading import read_data
from lookalike.experiments.comparison import METRICS, MeasuredRun
from lookalike.files import as_json, atomic_file, need_place, sha256_of, write_bytes
from lookalike.inference.bundle import Bundle, BundleError, load_bundle
from lookalike.metrics.result import RetrievalResult
from lookalike.seals import BLANK, is_damaged, sealed
from lookalike.settings.training import Train
from lookalike.training.fit import DivergedError
from lookalike.training.preflight import check_run

_PER_QUERY = ("label", "predicted", "positives", *METRICS)


@dataclass(frozen=True)
class Point:
    """One run of a grid.

    Attributes:
        axes: Setting -> value, of those that differ between the runs, the seed aside.
        settings: Everything.
    """

    axes: dict[str, str]
    settings: Train

    @property
    def group(self) -> str:
        """The values of its axes, in words."""
        if set(self.axes) == {"loss"}:
            return self.axes["loss"]
        return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in self.axes.items()) or "all"


def run_grid(
    points: Sequence[Point], output: Path, train: Callable[[Train], tuple[Bundle, RetrievalResult | None]]
) -> tuple[list[MeasuredRun], dict[str, int]]:
    """Runs what is not finished, one run after the other.

    Args:
        points: The grid.
        output: Folder of the comparison; `runs/` in it keeps what was measured.
        train: Trains, or continues, or finds that a run is finished; returns the bundle and its validation result (None
            when it was finished before).

    Returns:
        The finished runs; and group -> how many runs of it are left out, since their loss became no number.

    Raises:
        LookalikeError: A run cannot be trained; the others are kept. What can be seen of all of them before the first
            is begun is said then.
    """
    measured = []
    diverged: dict[str, int] = {}
    manifest = cache(lambda data: read_data(**json.loads(data)))
    fingerprint = cache(lambda data: manifest(data).fingerprint())
    need_place(output)
    sources = [json.dumps(point.settings.data.model_dump()) for point in points]
    for point, source in zip(points, sources, strict=True):
        check_run(point.settings, manifest(source))
    for number, (point, source) in enumerate(zip(points, sources, strict=True), 1):
        run = str(point.settings.run)
        data = fingerprint(source)
        result = read_measured(point, output, data)
        if result is None:
            say(f"run {number} of {len(points)}: {run}")
            try:
                bundle, validation = train(point.settings)
            except DivergedError as error:
                say(f"{run} is left out: {error}")
                diverged[point.group] = diverged.get(point.group, 0) + 1
                continue
            write_measured(point, output, data, bundle, validation or _measure(bundle, point.settings))
            result = read_measured(point, output, data)
        else:
            say(f"run {number} of {len(points)}: {run} is finished")
        assert result is not None
        measured.append(result)
    return measured, diverged


def _files(point: Point, output: Path) -> tuple[Path, Path]:
    folder = output / "runs"
    return folder / f"{point.settings.run}.json", folder / f"{point.settings.run}.parquet"


def read_measured(point: Point, output: Path, data: str) -> MeasuredRun | None:
    """Reads what was measured of a run.

    Args:
        point: The run.
        output: Folder of the comparison.
        data: Fingerprint of the data set.

    Returns:
        None when it must be run or measured: there is nothing, or its bundle or data are not those of that time.
    """
    about_file, table_file = _files(point, output)
    try:
        about = json.loads(about_file.read_bytes())
        # Those of earlier versions have neither of the two.
        if is_damaged(about_file, lambda: "checksum" in about or "table" in about):
            return None
        if about.get("table", sha256_of(table_file)) != sha256_of(table_file):
            return None
        bundle = load_bundle(Path(point.settings.models_dir) / str(point.settings.run))
        now = {"fingerprint": bundle.fingerprint, "data": data, "settings": point.settings.model_dump(mode="json")}
        if any(about[name] != value for name, value in now.items()):
            return None
        per_query = pd.read_parquet(table_file)
    except (OSError, ValueError, KeyError, BundleError):
        return None
    return MeasuredRun(point.group, point.settings.seed, str(point.settings.run), about, per_query)


def write_measured(point: Point, output: Path, data: str, bundle: Bundle, result: RetrievalResult) -> None:
    """Keeps what was measured of a run, for `read_measured`.

    Args:
        point: The run.
        output: Folder of the comparison.
        data: Fingerprint of the data set.
        bundle: What was trained.
        result: Of its validation split.
    """
    training = bundle.config.training
    about_file, table_file = _files(point, output)
    with atomic_file(table_file) as handle:
        result.per_query[list(_PER_QUERY)].to_parquet(handle, index=False)
    about = {
        "run": bundle.path.name,
        "fingerprint": bundle.fingerprint,
        "data": data,
        "settings": point.settings.model_dump(mode="json"),
        "protocol": result.protocol,
        "best_epoch": training.best_epoch,
        "epochs": training.epochs,
        "arithmetic": training.arithmetic,
        "seconds": training.seconds,
        "parameters": training.parameters,
        "trained_parameters": training.trained_parameters,
        "history": training.history,
        "table": sha256_of(table_file),
        "checksum": BLANK.decode(),  # the last, so that it stands near the end
    }
    write_bytes(about_file, sealed(as_json(about)))


def _measure(bundle: Bundle, settings: Train) -> RetrievalResult:
    """Of a bundle that was finished before: its validation split once more."""
    from lookalike.data.dataset import Dataset
    from lookalike.evaluation.split import evaluate_split
    from lookalike.inference.encoder import openvino_encoder

    return evaluate_split(bundle, openvino_encoder(bundle), Dataset(**settings.data.model_dump()), "validation")
