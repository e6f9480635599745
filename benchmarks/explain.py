"""Whether the regions that an explanation names matter: they are painted over, and others of the same area.

LOOKALIKE_DATA=<folder of the table> python benchmarks/explain.py grocery-steer.csv --occlusion
LOOKALIKE_DATA=... python benchmarks/explain.py grocery-steer.csv --bundle models/mine

Each query is compared with the training image that is most similar to it. The fifth of the query's regions that adds
most is painted over in one grey, and so is a fifth drawn at random (several times): how far does the similarity fall?
An explanation that says something makes it fall further. Prints a table.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from harness import machine

from lookalike import Model
from lookalike.data.reading import read_manifest
from lookalike.inference.encoder import Encoder
from lookalike.inference.explaining import Seen, explainer_of
from lookalike.inference.heat import covered
from lookalike.metrics.evenly import evenly

SHARE, GREY, DRAWS, SAMPLES = 0.2, 128, 5, 10_000


def painted(picture: np.ndarray, cells: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """A copy in which some cells of a grid are grey."""
    copy = picture.copy()
    for cell in cells.tolist():
        copy[covered(divmod(cell, grid[1]), grid, picture.shape)] = GREY
    return copy


def falls(encoder: Encoder, first: Seen, other: Seen, maps: list[np.ndarray], draw: np.random.Generator) -> list[float]:
    """By how much the similarity falls when the best cells of each map are painted over, then random ones."""
    chosen = []
    for regions in maps:
        most = round(SHARE * regions.size)
        chosen.append((np.argsort(regions, axis=None, kind="stable")[::-1][:most], regions.shape))
    cells, grid = chosen[0][0], chosen[0][1]
    chosen += [(draw.permutation(grid[0] * grid[1])[: len(cells)], grid) for _ in range(DRAWS)]
    pictures = np.stack([painted(first.picture, part, shape) for part, shape in chosen])
    made = (
        float(first.embedding @ other.embedding) - encoder.embed_arrays(pictures).astype(np.float64) @ other.embedding
    )
    return [*made[: len(maps)].tolist(), float(made[len(maps) :].mean())]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("--bundle")
    parser.add_argument("--pairs", type=int, default=220)
    parser.add_argument("--occlusion", action="store_true", help="also by painting regions over; takes much longer")
    asked = parser.parse_args()
    model = Model.load(asked.bundle, precision="float32") if asked.bundle else Model.pretrained("efficientnet_lite0")
    manifest = read_manifest(Path(os.environ["LOOKALIKE_DATA"]) / asked.table)
    protocol = manifest.protocol("validation")
    queries = [manifest.file(path) for path in protocol.queries["path"]]
    queries = [queries[place] for place in evenly(len(queries), asked.pairs)]
    if model.bundle:
        references, known = model.references.files(range(len(model.references))), model.references.embeddings
    else:
        references = [manifest.file(path) for path in protocol.references["path"]]
        known = model.embed(references)
    nearest = (model.embed(queries) @ known.T).argmax(1)
    explainer, draw = explainer_of(model.encoder), np.random.default_rng(0)
    rows = []
    for query, place in zip(queries, nearest.tolist(), strict=True):
        first, other = (explainer.seen(model.encoder, file) for file in (query, references[place]))
        exact = explainer.explain(first, other)
        maps = [exact.regions[0]]
        if asked.occlusion:
            maps.append(first.embedding @ other.embedding - first.without @ other.embedding)
        rows.append([exact.similarity, *falls(model.encoder, first, other, maps, draw)])
    print(
        f"{machine()}\n\n{len(rows)} pairs, {model.name}, method {exact.method}, mean similarity "
        f"{np.mean([row[0] for row in rows]):.3f}\n"
    )
    print("| painted over | the similarity falls by | 95 % | further than random in |")
    print("|---|---|---|---|")
    values = np.array(rows)[:, 1:]
    again = draw.integers(0, len(values), (SAMPLES, len(values)))
    for column, name in enumerate((exact.method, *["occlusion"] * asked.occlusion, "random")):
        low, high = np.quantile(values[:, column][again].mean(1), [0.025, 0.975])
        share = "" if name == "random" else f"{(values[:, column] > values[:, -1]).mean():.1%} of pairs"
        print(f"| {name} | {values[:, column].mean():.4f} | {low:.4f} to {high:.4f} | {share} |")


if __name__ == "__main__":
    main()
