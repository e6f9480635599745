"""As `evaluate`, of references that do not fit into memory: they go by twice, some at a time, and nothing is estimated.

The first pass takes the exact similarities of the positives, the second counts for each of them the references above
it and keeps the nearest. Counts of parts add up, and ties are ordered by the row in all references, so every figure is
the same to the last bit as with all of them in memory, however they are cut into parts. Labels, cameras and marks of
all references are in memory (17 bytes each), and of their embeddings a few parts.

Letters in shapes: Q queries, R references, D embedding, N references of a part, P positives, L labels, K kept.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lookalike.metrics.columns import EvaluationError
from lookalike.metrics.evaluate import result_of
from lookalike.metrics.exact_grid import on_grid
from lookalike.metrics.inputs import checked_embeddings, one_each
from lookalike.metrics.options import EvaluationOptions
from lookalike.metrics.problem import Problem
from lookalike.metrics.ranking import QUERIES, REFERENCES, facts_of, outward, over_tiles, product, slack_of
from lookalike.metrics.ranks import Ranks, empty_ranks, take_ranks
from lookalike.metrics.result import RetrievalResult

if TYPE_CHECKING:
    from lookalike.metrics.kernels.above import Positives
    from lookalike.metrics.kernels.nearest import Nearest
    from lookalike.metrics.kernels.valid import QueryFacts, ReferenceFacts

Parts = Callable[[], Iterable[np.ndarray]]
POSITIVES_AT_ONCE = 2**24  # of the queries that are ranked together: 32 bytes each


def evaluate_streamed(
    query: np.ndarray,
    parts: Parts,
    problem: Problem,
    options: EvaluationOptions = EvaluationOptions(),  # noqa: B008 - frozen
    positives_at_once: int = POSITIVES_AT_ONCE,
) -> RetrievalResult:
    """Measures retrieval among references that go by in parts.

    Args:
        query: float32 [Q, D]; any length but zero.
        parts: Gives all references anew with each call: float32 [N, D], one part behind the other, in their order.
        problem: Of these Q queries and all R references.
        options: How it is measured: cosine, on the processor, without re-ranking.
        positives_at_once: Queries with more positives than these together are ranked in several turns of two passes.

    Raises:
        EvaluationError: Embeddings are of another number or size, or one is zero or not finite; another way of
            measuring.
    """
    for name, expected in (("similarity", "cosine"), ("device", "cpu"), ("rerank", "none")):
        if (value := getattr(options, name)) != expected:
            raise EvaluationError(
                f"{name}={value}: of references that are streamed only {name}={expected} is measured: give it, or load "
                "them all"
            )
    if problem.sightings is not None:
        raise EvaluationError(
            "times of images: rules of times are not measured of references that are streamed: load all"
        )
    query = checked_embeddings(query, "query", "cosine")
    one_each("query", len(query), label=problem.query_labels)
    result = empty_ranks(len(query), tuple(options.ks), min(max([1, *options.vote_ks]), problem.rows[1]))
    threads = options.threads or os.cpu_count() or 1
    stream = _Stream(parts, problem, query.shape[1], threads)
    gridded = on_grid(query, "cosine", 0.0, threads).values
    for turn in _turns(problem, positives_at_once):
        _rank_turn(stream, gridded, turn, np.array(options.ks, np.int64), result)
    return result_of(result, problem, options)


def _turns(problem: Problem, most: int) -> Iterator[slice]:
    """Queries that together have so many positives at most (a single one may have more)."""
    counts = np.bincount(problem.reference_labels, minlength=len(problem.names))[problem.query_labels]
    first, total = 0, 0
    for q, count in enumerate(counts.tolist()):
        if total + count > most and q > first:
            yield slice(first, q)
            first, total = q, 0
        total += count
    yield slice(first, len(counts))


@dataclass(frozen=True)
class _Part:
    """Some references on the grid, the first being row `first` of all, and what the rule asks of them and for them."""

    first: int
    values: np.ndarray
    offsets: np.ndarray
    queries: "QueryFacts"
    references: "ReferenceFacts"


class _Stream:
    """References of a problem, as often as they are asked for."""

    def __init__(self, parts: Parts, problem: Problem, size: int, threads: int) -> None:
        self._parts, self._problem, self._size, self.threads = parts, problem, size, threads
        asked = np.unique(problem.query_labels)
        # Labels that nobody asks for become one, as tables by label are made anew for each part.
        self._small = np.full(len(problem.names), len(asked))
        self._small[asked] = np.arange(len(asked))
        self._labels = len(asked) + 1

    def read(self, turn: slice) -> Iterator[_Part]:
        """All references, checked, a part being read while the one before it is worked on.

        Args:
            turn: The queries that ask.
        """
        first, count = 0, self._problem.rows[1]
        for embeddings in _ahead(self._parts()):
            if not len(embeddings):
                continue
            part = checked_embeddings(embeddings, f"reference (part from row {first})", "cosine")
            if part.shape[1] != self._size or first + len(part) > count:
                raise EvaluationError(
                    f"references: expected {count} rows of {self._size} numbers, got {part.shape[1]} numbers in a part "
                    f"with {len(part)} rows from row {first}: embed both sides with one model, one label for each"
                )
            gridded = on_grid(part, "cosine", 0.0, self.threads)
            yield _Part(first, gridded.values, gridded.offsets, *self._facts(turn, first, len(part)))
            first += len(part)
        if first != count:
            raise EvaluationError(f"references: expected {count} rows, got {first}: give one label for each")

    def _facts(self, turn: slice, first: int, count: int) -> tuple["QueryFacts", "ReferenceFacts"]:
        """What the compiled rule asks, rows counted from the first of the part."""
        problem, mine = self._problem, slice(first, first + count)
        seen, seen_by = problem.query_cameras, problem.reference_cameras
        asking = self._small[problem.query_labels[turn]]
        part = Problem(
            asking,
            self._small[problem.reference_labels[mine]],
            np.empty(self._labels, object),
            problem.ignore[mine],
            np.full(len(asking), -1),
            None if seen is None else seen[turn],
            None if seen_by is None else seen_by[mine],
        )
        queries, references = facts_of(part)
        return queries._replace(own_row=problem.own_row[turn] - first), references


def _ahead(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same, the next one being read by a thread meanwhile."""
    source = iter(parts)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, source, None)
        while (part := waiting.result()) is not None:
            waiting = pool.submit(next, source, None)
            yield part


def _rank_turn(stream: _Stream, query: np.ndarray, turn: slice, ks: np.ndarray, result: Ranks) -> None:
    """Ranks for some queries, written into `result`: the two passes."""
    from lookalike.metrics.kernels import above, grid, nearest, ranks

    query = query[turn]
    slack = slack_of(query.shape[1])
    positives = _positives(stream, query, turn, slack)
    near: dict[int, Nearest] = {}
    for first, of_tile in positives.items():
        rows = result.top_rows[turn][first : first + QUERIES]
        near[first] = nearest.Nearest(rows, np.full(rows.shape, -np.inf), np.full(len(rows), -np.inf))
        nearest.begin(near[first], of_tile)
    for part in stream.read(turn):

        def count(first: int, buffer: np.ndarray, part: _Part = part) -> None:
            queries = type(part.queries)(*(fact[first : first + QUERIES] for fact in part.queries))
            vectors = grid.Vectors(query[first : first + QUERIES], part.values, part.offsets)
            mine, kept = positives[first], near[first]
            for rows in (mine.rows, kept.rows):
                rows -= part.first  # the kernels count rows from the first of the part
            for start in range(0, len(part.values), REFERENCES):
                tile = product(vectors.queries, part.values[start : start + REFERENCES], buffer)
                ranks.scan(tile, start, vectors, queries, part.references, mine, kept, slack)
            for rows in (mine.rows, kept.rows):
                rows += part.first

        over_tiles(len(query), stream.threads, count)
    for first, of_tile in positives.items():
        mine = slice(turn.start + first, min(turn.start + first + QUERIES, turn.stop))
        above.finish(of_tile.starts, of_tile.above)
        result.top_other[mine] = near[first].other
        result.top_similarity[mine] = np.where(near[first].rows >= 0, near[first].scores, 0)
        take_ranks(of_tile.starts, of_tile.above, ks, mine, result)


def _positives(stream: _Stream, query: np.ndarray, turn: slice, slack: float) -> dict[int, "Positives"]:
    """The first pass: the valid positives of every tile of queries, by its first query, nearest first."""
    from lookalike.metrics.kernels import grid, valid
    from lookalike.metrics.kernels.above import Positives

    pieces: dict[int, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {
        first: [] for first in range(0, len(query), QUERIES)
    }
    for part in stream.read(turn):

        def take(first: int, buffer: np.ndarray, part: _Part = part) -> None:
            mine = slice(first, first + QUERIES)
            queries = valid.QueryFacts(*(fact[mine] for fact in part.queries))
            vectors = grid.Vectors(query[mine], part.values, part.offsets)
            starts, rows, scores = valid.positives_of(vectors, queries, part.references)
            if len(rows):
                asking = np.repeat(np.arange(len(queries.labels), dtype=np.int32), np.diff(starts))
                pieces[first].append((asking, rows + part.first, scores))

        over_tiles(len(query), stream.threads, take)
    made = {}
    for first, of_tile in pieces.items():
        count = min(QUERIES, len(query) - first)
        nothing = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64))
        asking, rows, scores = (np.concatenate(columns) for columns in zip(nothing, *of_tile, strict=True))
        of_tile.clear()
        order = np.lexsort((rows, -scores, asking))
        starts = np.concatenate([[0], np.cumsum(np.bincount(asking, minlength=count))])
        rows, scores = rows[order], scores[order]
        made[first] = Positives(starts, rows, scores, *outward(scores, slack), np.zeros(len(rows), np.int64))
    return made
