"""A search as Markdown, CSV, one HTML page that needs no network, and the best settings as a file for `--config`."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lookalike.experiments.search_result import Search
from lookalike.files import write_bytes
from lookalike.reports.plots import BLUE, ORANGE, STYLE, figure, plain, plotting, svg, table, text, whole_numbers

_SCORES = ("accuracy@1", "map")


def write(search: Search, folder: Path) -> list[Path]:
    """Writes tune.md, tune.csv, tune.html and best.yaml; returns their paths.

    Raises:
        LookalikeError: matplotlib is not installed.
    """
    with plotting():
        page = _page(
            search, command(folder), svg(_progress(search)), [svg(_one(search, name)) for name in search.settings]
        )
    heads, rows = _rows(search)
    lines = [heads, ["--:", "---", "---", *["--:"] * (len(heads) - 3)], *rows]
    markdown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    drawn, rest = (
        yaml.safe_dump(part, sort_keys=False, default_flow_style=False) for part in (search.drawn, search.best)
    )
    best = (
        f"# The best run of the search {search.name}: {command(folder)}\n# What was drawn:\n{drawn}# As given:\n{rest}"
    )
    files = {
        "tune.md": f"{search.sentence}\n\n    {command(folder)}\n\n{markdown}\n{_importance(search)}",
        "tune.csv": search.trials.to_csv(index=False),
        "tune.html": page,
        "best.yaml": best,
    }
    for name, content in files.items():
        write_bytes(folder / name, content.encode())
    return [folder / name for name in files]


def command(folder: Path) -> str:
    """How to train with the best settings."""
    return f"lookalike train --config {shlex.quote(str(folder / 'best.yaml'))} data.root=..."


def _rows(search: Search) -> tuple[list[str], list[list[str]]]:
    heads = ["trial", "run", "state", "accuracy@1", "mAP", "best epoch", "epochs"]
    rows = []
    for row in search.trials.to_dict("records"):
        scores = ["" if row[name] is None or np.isnan(row[name]) else f"{row[name]:.4f}" for name in _SCORES]
        about = [str(row["number"]), str(row["run"]), str(row["state"]), *scores, str(row["best_epoch"])]
        rows.append([*about, str(row["epochs"]), *(_value(row[name]) for name in search.settings)])
    return [*heads, *(name.partition(".")[2] for name in search.settings)], rows


def _value(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def _importance(search: Search) -> str:
    if not search.importance:
        return ""
    told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in search.importance.items())
    return f"\nWhat sets the best runs apart from the others (PED-ANOVA): {told}.\n"


def _progress(search: Search) -> Any:
    """The score of every finished run, in the order they ran, and the best so far."""
    made, axes = figure(8, 2.8)
    trials = search.trials.sort_values("number")
    finished, ended = (trials[(trials["state"] == "finished") == whole] for whole in (True, False))
    axes.scatter(finished["number"], finished["score"], color=BLUE, label="finished", zorder=3)
    ended = ended.dropna(subset=["score"])
    if len(ended):
        axes.scatter(ended["number"], ended["score"], color=ORANGE, marker="x", label="ended early")
    best = finished["score"].cummax()
    axes.step(finished["number"], best, where="post", color=BLUE, linewidth=1, label="best so far")
    axes.set_xlabel("trial")
    whole_numbers(axes)
    axes.set_ylabel(f"validation {search.title}")
    axes.legend(frameon=False, loc="lower right")
    plain(axes)
    return made


def _one(search: Search, name: str) -> Any:
    """The score against one setting."""
    made, axes = figure(3.4, 2.5)
    knob = search.trials[[name, "score", "state"]].dropna()
    for whole, colour, marker in ((True, BLUE, "o"), (False, ORANGE, "x")):
        part = knob[(knob["state"] == "finished") == whole]
        axes.scatter(part[name], part["score"], color=colour, marker=marker, s=24)
    values = knob[name]
    spread = 8  # times the lowest: then the logarithm was drawn, or might have been
    if values.dtype.kind == "f" and len(values) and values.min() > 0 and values.max() > spread * values.min():
        axes.set_xscale("log")
    axes.set_title(name, loc="left", fontsize=11)
    plain(axes)
    return made


def _page(search: Search, how: str, progress: str, plots: list[str]) -> str:
    heads, rows = _rows(search)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Search {text(search.name)}</title>'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body><h1>Search {text(search.name)}</h1>'
        f'<p class="sentence">{text(search.sentence)}</p><pre>{text(how)}</pre>{progress}'
        f"<h2>Settings</h2><p>{search.title} of every run against what was drawn. {text(_importance(search))}</p>"
        f"{''.join(plots)}<h2>Runs</h2>{table(heads, rows, set(range(3, len(heads))))}</body></html>\n"
    )
