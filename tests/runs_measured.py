"""Measured runs without training, for tests of comparisons."""

import numpy as np
import pandas as pd

from lookalike.experiments.comparison import MeasuredRun


def measured(group: str, seed: int, right: np.ndarray, labels: np.ndarray) -> MeasuredRun:
    per_query = pd.DataFrame({"label": labels, "accuracy@1": right, "accuracy@5": right, "map": right, "positives": 1})
    about = {"best_epoch": 3, "seconds": 10.0, "trained_parameters": 1000, "history": []}
    return MeasuredRun(group, seed, f"{group}-{seed}", about, per_query)
