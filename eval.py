"""Evaluate: `lookalike eval` with the settings of Market-1501 and MLflow; the command line wins over them.

Without arguments it takes what lies where the assignment puts it: `models/epoch_120.ckpt`, or else the only checkpoint
in `models/`, and the data set in `data/`, whatever its folder is called.
"""

import sys
from pathlib import Path

from lookalike.cli.main import main
from lookalike.terminal import complain

MARKET = ["data=market1501", "pixels.usual_size=[256,128]", "split=test", "logger=mlflow"]


def named(arguments: list[str]) -> set[str]:
    """The settings that are given."""
    return {argument.lstrip("-").partition("=")[0] for argument in arguments}


def nothing_to_measure(given: list[str], settings: list[str]) -> str:
    """What is said where neither a person nor the usual place names a model; else empty."""
    asked = named(given) | named(settings)
    if asked & {"bundle", "ckpt_path", "config", "help", "h"}:
        return ""
    checkpoints = sorted(map(str, Path("models").glob("*.ckpt")))
    found = f"found {len(checkpoints)}: {', '.join(checkpoints)}" if checkpoints else "found no models/*.ckpt"
    return (
        f"what to measure: expected models/epoch_120.ckpt or one checkpoint in models/, {found}: give "
        "bundle=<folder> or ckpt_path=<Lightning checkpoint>"
    )


def lying_there(given: list[str]) -> list[str]:
    """Settings for what was not named and stands in its usual place."""
    there = named(given)
    settings = []
    checkpoints = sorted(Path("models").glob("*.ckpt"))
    usual = [file for file in checkpoints if file.name == "epoch_120.ckpt"] or checkpoints
    if len(usual) == 1 and not there & {"bundle", "ckpt_path", "config"}:
        settings.append(f"ckpt_path={usual[0]}")
    folder = Path("data", "Market-1501-v15.09.15")
    if folder.parent.is_dir() and not folder.is_dir() and not there & {"data.root", "data.archive", "config"}:
        settings.append(f"data.root={folder.parent}")
    return settings


if __name__ == "__main__":
    usual = lying_there(sys.argv[1:])
    if problem := nothing_to_measure(sys.argv[1:], usual):
        complain(problem)
        sys.exit(2)
    market = [setting for setting in MARKET if not named([setting]) & named(sys.argv[1:])]
    sys.exit(main(["eval", *market, *usual, *sys.argv[1:]]))
