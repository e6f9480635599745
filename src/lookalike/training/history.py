"""The curves of a run: which epoch is the best, and whether training is over."""


def best_epoch(history: list[dict[str, float]]) -> int:
    """The number (from 1) of the epoch with the highest validation accuracy@1, then mAP, then earliest; 0 if none."""
    if not history:
        return 0
    scores = [(line["validation/accuracy@1"], line["validation/map"]) for line in history]
    return scores.index(max(scores)) + 1


def finished(history: list[dict[str, float]], max_epochs: int, patience: int) -> bool:
    """Whether training is over: all epochs done, or none better for `patience` epochs."""
    return len(history) >= max_epochs or (bool(history) and len(history) - best_epoch(history) >= patience)
