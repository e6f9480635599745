"""A small tile as the compiled loops get it, and what the rule says of it."""

from dataclasses import dataclass

import numpy as np

from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.kernels.grid import Vectors
from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranking import facts_of
from metrics.random_problems import case

SLACK = 1e-6


@dataclass(frozen=True)
class Tiles:
    """A problem, its facts as the loops ask for them, and exact scores float64 [Q, R]."""

    problem: Problem
    vectors: Vectors
    queries: QueryFacts
    references: ReferenceFacts
    scores: np.ndarray

    @property
    def strangers(self) -> np.ndarray:
        """bool [Q, R], valid references of other labels."""
        return self.problem.valid(slice(None)) & ~self.problem.same_label(slice(None))


def tiles(seed: int, size: int = 1 << 20) -> Tiles:
    """A problem whose references are looked at so many at a time; every other one has rules that ask for times."""
    given = case(seed, timed=seed % 2 == 1)
    problem = given.problem
    query, reference = (on_grid(side, "cosine", 0.0, 1) for side in (given.query, given.reference))
    scores = query.values.astype(np.float64) @ reference.values.astype(np.float64).T  # exact on the grid
    return Tiles(
        problem,
        Vectors(query.values, reference.values, reference.offsets),
        *facts_of(problem, size),
        scores,
    )


def blurred(scores: np.ndarray, seed: int) -> np.ndarray:
    """float32, each off by up to `SLACK`, as a product may be."""
    noise = np.random.default_rng(seed).uniform(-0.9 * SLACK, 0.9 * SLACK, scores.shape)
    return (scores + noise).astype(np.float32)
