"""What is told of predictions: each in a line, how many were turned away, how many are right."""

from collections import Counter
from typing import TYPE_CHECKING

from lookalike.terminal import counted, show

if TYPE_CHECKING:
    from lookalike.inference.predict import Predictions
    from lookalike.inference.rightness import Rightness
    from lookalike.settings.verbs import PredictCommand


def need_limit(settings: "PredictCommand") -> None:
    """Refuses to keep unknown images where nothing can be called unknown.

    Args:
        settings: Of a prediction by a gallery.

    Raises:
        PredictError: No limit is given.
    """
    from lookalike.inference.queries import PredictError

    if settings.keep_unknown and all(
        limit in (None, "off") for limit in (settings.threshold, settings.false_accept_rate)
    ):
        raise PredictError(
            "keep_unknown: no image is called unknown without a limit, so none would be kept: give "
            "false_accept_rate=0.05, or threshold=<similarity>"
        )


def tell_of_small_labels(k: int | None, labels: list[str], all_vote: bool = False) -> None:
    """Says where others can outvote a label, because it has fewer images than vote.

    Args:
        k: Neighbours that vote, None where it was not given.
        labels: Of the references.
        all_vote: Whether all of them vote where there are fewer than `k`; else such a k is refused.
    """
    from lookalike.console import say

    sizes = Counter(labels)
    if k is None or (k > len(labels) and not all_vote):
        return
    if small := [label for label, size in sizes.items() if size < k]:
        there = f"; there are {counted(len(labels), 'image')}, so all of them vote" if k > len(labels) else ""
        say(
            f"k={k}: {len(small)} of {counted(len(sizes), 'label')} have fewer images (least: {min(sizes.values())}), "
            f"so others can outvote them{there}: leave k out, or give a smaller one"
        )


def tell_predictions(predictions: "Predictions", labels: list[str], rightness: "Rightness", lines: bool = True) -> None:
    """Prints predictions, how many were turned away, and how many are right where folders name the truth.

    Args:
        predictions: What was predicted.
        labels: Those of the references.
        rightness: How many are right.
        lines: Print each; else only those that failed.
    """
    from lookalike.console import say
    from lookalike.data.any_image import folder_label
    from lookalike.data.labels import alike, alike_note

    for item in predictions if lines else predictions.failed:
        show(item)
    if predictions.index is not None:
        show(predictions.index)
    if predictions.failed:
        show(f"{len(predictions.failed)} of {counted(len(predictions), 'image')} could not be used")
    if predictions.rejection is not None:
        count = sum(item.unknown for item in predictions)
        usable = len(predictions) - len(predictions.failed)
        show(f"{count or 'none'} of {usable} called unknown; {predictions.rejection}")
        if predictions.rejection.warning:
            say(f"unknown: {predictions.rejection.warning}")
    folders = {folder_label(item.image) for item in predictions if item.truth is None and not rightness.by_table}
    near = [name for group in alike({*labels, *folders}) if folders & set(group) for name in group]
    for note in alike_note(near):
        say(f"folders that are no known label are not counted as right or wrong: {note}")
    for line in rightness.lines(predictions.rejection is not None):
        show(line)
