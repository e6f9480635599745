"""A search as Markdown, CSV, one HTML page that needs no network, and the best settings as a file for `--config`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from lookalike.data.table_file import csv_bytes
from lookalike.experiments.search_result import Search
from lookalike.outputs import write_files
from lookalike.pages import Table, render
from lookalike.palette import BLUE, ORANGE
from lookalike.reports.plots import figure, logarithmic, plain, plotting, svg, whole_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCORES = ("accuracy@1", "map")


def write(search: Search, folder: Path) -> list[Path]:
    """Writes tune.md, tune.csv, tune.html and best.yaml; returns their paths.

    What an earlier search wrote there is replaced, anything else kept under a dated name.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    files = {
        "tune.md": _markdown(search, folder),
        "tune.csv": csv_bytes(search.trials).decode(),
        "tune.html": _page(search, folder),
        "best.yaml": _best(search, folder),
    }
    write_files(folder / "tune.html", {folder / name: content.encode() for name, content in files.items()})
    return [folder / name for name in files]


def command(folder: Path) -> str:
    """How to train with the best settings."""
    return f"lookalike train --config {shlex.quote(str(folder / 'best.yaml'))} data.root=..."


def _page(search: Search, folder: Path) -> str:
    with plotting():
        progress = svg(_progress(search))
        settings = {name: svg(_score_against(search, name)) for name in search.settings}
    return render(
        "search.html",
        name=search.name,
        sentence=search.sentence,
        command=command(folder),
        title=search.title,
        importance=_importance(search),
        progress=progress,
        settings=settings,
        runs=_runs(search),
    )


def _markdown(search: Search, folder: Path) -> str:
    runs = _runs(search)
    lines = [runs.heads, ["--:", "---", "---", *["--:"] * (len(runs.heads) - 3)], *runs.rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    importance = f"\n{_importance(search)}\n" if search.importance else ""
    return f"{search.sentence}\n\n    {command(folder)}\n\n{table}\n{importance}"


def _best(search: Search, folder: Path) -> str:
    """The best settings, as YAML."""
    drawn, rest = (
        yaml.safe_dump(part, sort_keys=False, default_flow_style=False) for part in (search.drawn, search.best)
    )
    return (
        f"# The best run of the search {search.name}: {command(folder)}\n# What was drawn:\n{drawn}# As given:\n{rest}"
    )


def _runs(search: Search) -> Table:
    """Every run with what was drawn for it, best first."""
    drawn = [name.partition(".")[2] for name in search.settings]
    heads = ["trial", "run", "state", "accuracy@1", "mAP", "best epoch", "epochs", *drawn]
    rows = []
    for row in search.trials.to_dict("records"):
        scores = ["" if row[name] is None or np.isnan(row[name]) else f"{row[name]:.4f}" for name in _SCORES]
        about = [str(row["number"]), str(row["run"]), str(row["state"]), *scores, str(row["best_epoch"])]
        rows.append([*about, str(row["epochs"]), *(_value(row[name]) for name in search.settings)])
    return Table(heads, rows, frozenset({0, *range(3, len(heads))}), sortable=True)


def _value(value: object) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def _importance(search: Search) -> str:
    """Which settings matter, in words; empty with few runs."""
    if not search.importance:
        return ""
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in search.importance.items())
    return f"What sets the best runs apart from the others (PED-ANOVA): {shares}."


def _progress(search: Search) -> "Figure":
    """The score of every finished run, in the order they ran, and the best so far."""
    made, axes = figure(8, 2.8)
    trials = search.trials.sort_values("number")
    finished, ended = (trials[(trials["state"] == "finished") == whole] for whole in (True, False))
    axes.scatter(finished["number"], finished["score"], color=BLUE.light, label="finished", zorder=3)
    ended = ended.dropna(subset=["score"])
    if len(ended):
        axes.scatter(ended["number"], ended["score"], color=ORANGE.light, marker="x", label="ended early")
    best = finished["score"].cummax()
    axes.step(finished["number"], best, where="post", color=BLUE.light, linewidth=1, label="best so far")
    axes.set_xlabel("trial")
    whole_numbers(axes)
    axes.set_ylabel(f"validation {search.title}")
    made.legend(frameon=False, loc="outside upper right", ncols=3)
    plain(axes)
    return made


def _score_against(search: Search, name: str) -> "Figure":
    """The score against one setting."""
    made, axes = figure(3.4, 2.5)
    knob = search.trials[[name, "score", "state"]].dropna()
    for whole, colour, marker in ((True, BLUE, "o"), (False, ORANGE, "x")):
        part = knob[(knob["state"] == "finished") == whole]
        axes.scatter(part[name], part["score"], color=colour.light, marker=marker, s=24)
    values = knob[name]
    spread = 8  # times the lowest: then the logarithm was drawn, or might have been
    if values.dtype.kind == "f" and len(values) and values.min() > 0 and values.max() > spread * values.min():
        logarithmic(axes)
    axes.set_title(name, loc="left", fontsize=11)
    plain(axes)
    return made
