"""A bundle on a data set: embed the rows of a manifest, then evaluate or store them."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd

from lookalike.bundle import Bundle
from lookalike.camera_pairs import per_camera_pair
from lookalike.embed import Device, Encoder
from lookalike.evaluate import RetrievalResult, evaluate
from lookalike.exclusions import find_exclusions, without
from lookalike.files import atomic_folder, sha256_of
from lookalike.gallery import Gallery, GalleryError
from lookalike.images import find_broken, find_images
from lookalike.manifest import RECIPE, Manifest, ManifestError, Protocol, boxes_of, read_data
from lookalike.market import market_root
from lookalike.progress import progress, say
from lookalike.ranking import Similarity
from lookalike.rerank import Rerank

_PAIRS = 400  # of cameras, in a table that a person may read


@dataclass(frozen=True)
class Rules:
    """How embeddings of a protocol are compared.

    Attributes:
        camera_rule: Leave out references of the query's own label and camera, where cameras are known.
        similarity: See `evaluate`.
        rerank: See `evaluate`.
        device: See `evaluate`.
    """

    camera_rule: bool = True
    similarity: Similarity = "cosine"
    rerank: Rerank = "none"
    device: Device = "cpu"


@dataclass(frozen=True)
class Identification:
    """Two views of one evaluation: who each query is, out of all references, and retrieval across cameras.

    Attributes:
        result: By the rules asked for.
        whole: Without the camera rule; the same object where no camera rule applied.
        camera_pairs: See `camera_pairs.per_camera_pair`; None where no camera is known, empty where there are too many.
    """

    result: RetrievalResult
    whole: RetrievalResult
    camera_pairs: pd.DataFrame | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """`accuracy` over all references, everything by the rules asked for, `accuracy_whole@k` where they differ."""
        return {"accuracy": self.whole.metrics["accuracy@1"], **self.result.metrics, **self._whole("metrics")}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Of the same names, where there is one."""
        whole = self.whole.intervals
        first = {"accuracy": whole["accuracy@1"]} if whole else {}
        return {**first, **self.result.intervals, **self._whole("intervals")}

    def _whole(self, part: str) -> dict[str, Any]:
        """The accuracies without the camera rule, where it makes a difference."""
        if self.result is self.whole:
            return {}
        values = getattr(self.whole, part)
        return {name.replace("@", "_whole@"): value for name, value in values.items() if name.startswith("accuracy@")}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        one_view = self.result is self.whole
        pairs = self.camera_pairs
        table = None if pairs is None else pairs.astype(object).where(pairs.notna(), None).to_dict("records")
        return {
            **self.result.to_dict(),
            **({} if one_view else {"protocol_of_accuracy": self.whole.protocol}),
            "metrics": self.metrics,
            "intervals_95": {name: list(pair) for name, pair in self.intervals.items()},
            **({} if table is None else {"per_camera_pair": table}),
        }

    def __str__(self) -> str:
        if self.result is self.whole:
            return str(self.result)
        lines = [line for line in str(self.whole).splitlines() if line.startswith("accuracy@")]
        accuracy = [line.replace("accuracy@", "accuracy_whole@") for line in lines]
        return "\n".join([str(self.result), "over all references, without the camera rule:", *accuracy])


def evaluate_split(
    bundle: Bundle,
    encoder: Encoder,
    data: dict[str, Any],
    split: str,
    rules: Rules = Rules(),
) -> RetrievalResult:
    """Measures a bundle on a split of a data set.

    Args:
        bundle: Its own hold-out settings are used when `data` asks for none, so that the same images are held out.
        encoder: Its network.
        data: `root`, `validation_share`, `seed`, `archive`.
        split: train, validation or test.
        rules: How embeddings are compared.

    Raises:
        ManifestError: Problems in the data, or an empty split.
        ImageError: An image cannot be used; a figure without it would not be comparable.
    """
    manifest = read_data(**held_out_as_in(bundle, data))
    protocol = manifest.protocol(split)
    return evaluate_rows(*embed_protocol(encoder, manifest, protocol), protocol, rules)


def against_gallery(
    queries: np.ndarray, references: np.ndarray, protocol: Protocol, gallery: np.ndarray, labels: list[str]
) -> RetrievalResult:
    """All validation images against a gallery, as `predict` will search it: a larger one has nearer strangers.

    Args:
        queries: float32 [Q, D], of the protocol.
        references: float32 [R, D], of the protocol.
        protocol: Who asks and who answers in validation.
        gallery: float32 [N, D], training images.
        labels: Theirs.
    """
    others = np.setdiff1d(np.arange(len(references)), protocol.own_row)
    others = others[~protocol.references["ignore"].to_numpy(bool)[others]]
    asking = [*protocol.queries["label"], *protocol.references["label"].iloc[others]]
    return evaluate(np.concatenate([queries, references[others]]), gallery, asking, labels)


def held_out_as_in(bundle: Bundle, data: dict[str, Any]) -> dict[str, Any]:
    """The `data` settings, with the hold-out of the bundle's training where they ask for none."""
    trained = bundle.config["training"]["settings"]["data"]
    if data["validation_share"]:
        return data
    return {**data, "validation_share": trained["validation_share"], "seed": trained["seed"]}


def evaluate_rows(
    queries: np.ndarray,
    references: np.ndarray,
    protocol: Protocol,
    rules: Rules = Rules(),
) -> RetrievalResult:
    """Evaluates embeddings of a protocol's queries [Q, D] and references [R, D]."""
    known = any(part["camera"].notna().any() for part in (protocol.queries, protocol.references))
    result = evaluate(
        queries,
        references,
        protocol.queries["label"].tolist(),
        protocol.references["label"].tolist(),
        query_cameras=protocol.queries["camera"].astype(object).tolist() if known else None,
        reference_cameras=protocol.references["camera"].astype(object).tolist() if known else None,
        camera_rule=rules.camera_rule,
        ignore=protocol.references["ignore"].to_numpy(bool),
        exclude_self=protocol.own_row if (protocol.own_row >= 0).any() else False,
        similarity=rules.similarity,
        rerank=rules.rerank,
        device=rules.device,
    )
    who = protocol.text.partition(";")[0]  # the rest is counted below, by the rules that were applied
    return replace(result, protocol=f"{who}; {result.protocol}")


def identify(queries: np.ndarray, references: np.ndarray, protocol: Protocol, rules: Rules) -> Identification:
    """As `evaluate_rows`, and the accuracy over all references.

    Raises:
        ManifestError: No query has a valid positive, so no retrieval metric exists.
    """
    result = evaluate_rows(queries, references, protocol, rules)
    if not result.counts["queries_with_positive"]:
        asked, known = (sorted(set(part["label"])) for part in (protocol.queries, protocol.references))
        raise ManifestError(
            f"no query has a valid positive: {len(asked)} query labels ({', '.join(asked[:3])} ...), {len(known)} "
            f"reference labels ({', '.join(known[:3])} ...), {len(set(asked) & set(known))} in common: check the "
            "labels; where each person was seen by one camera only, camera_rule=false"
        )
    pairs = _camera_pairs(queries, references, protocol, rules)
    if not rules.camera_rule or pairs is None:
        return Identification(result, result, pairs)
    return Identification(
        result, evaluate_rows(queries, references, protocol, replace(rules, camera_rule=False)), pairs
    )


def _camera_pairs(queries: np.ndarray, references: np.ndarray, protocol: Protocol, rules: Rules) -> pd.DataFrame | None:
    """None where no camera is known; empty where there are too many for a table (sequences taken for cameras)."""
    seen, cameras = (part["camera"].dropna().nunique() for part in (protocol.queries, protocol.references))
    if not (seen and cameras):
        return None
    if seen * cameras > _PAIRS:
        return pd.DataFrame()
    names, seen_by = (
        [part[column].astype(object).tolist() for part in (protocol.queries, protocol.references)]
        for column in ("label", "camera")
    )
    ignore = protocol.references["ignore"].to_numpy(bool)
    return per_camera_pair(queries, references, names[0], names[1], seen_by[0], seen_by[1], ignore, rules.similarity)


def evaluate_galleries(queries: Gallery, references: Gallery, **settings: Any) -> RetrievalResult:
    """Evaluates stored embeddings, such as `lookalike embed` writes; a file on both sides never finds itself.

    Args:
        queries: They ask.
        references: They are searched.
        **settings: Further arguments of `evaluate`.

    Raises:
        GalleryError: The two were made by different weights or pixel settings.
        EvaluationError: As `evaluate`.
    """
    if queries.fingerprint != references.fingerprint:
        raise GalleryError(
            f"the queries were made by {queries.fingerprint[:12]}, the references by {references.fingerprint[:12]}: "
            "embeddings of different weights or pixel settings cannot be compared; embed both with one bundle"
        )
    places = {references.file(row): row for row in range(len(references))}
    own = np.array([places.get(queries.file(row), -1) for row in range(len(queries))])
    given = (queries.embeddings, references.embeddings, queries.labels, references.labels)
    return evaluate(*given, **{"exclude_self": own if (own >= 0).any() else False, **settings})


def need_cameras(manifest: Manifest, protocol: Protocol) -> None:
    """Refuses the camera rule for names that should tell a camera and do not.

    Raises:
        ManifestError: Names an image without a camera.
    """
    rows = pd.concat([protocol.queries, protocol.references])
    missing = rows[rows["camera"].isna() & ~rows["ignore"]]
    if manifest.cameras_expected and len(missing):
        raise ManifestError(
            f"{manifest.root}: {len(missing)} of {len(rows)} names tell no camera (first: {missing['path'].iloc[0]}; "
            "expected 0002_c1s1_000451_03.jpg), but references of the query's own camera must be left out: "
            "rename them, or give camera_rule=false to rank all references, those of the same camera included"
        )


def twice(manifest: Manifest, protocol: Protocol) -> list[tuple[str, str]]:
    """Queries whose file, byte for byte, is also among the references: (query, reference) paths, own rows aside."""
    others = protocol.references[~protocol.references["path"].isin(set(protocol.queries["path"]))]
    sizes: dict[int, list[str]] = {}
    for path in others["path"].unique():
        sizes.setdefault(manifest.file(path).stat().st_size, []).append(path)
    hashes: dict[str, str] = {}
    found = []
    for path in protocol.queries["path"].unique():
        alike = sizes.get(manifest.file(path).stat().st_size, [])
        for one in [path, *alike] if alike else []:
            hashes.setdefault(one, sha256_of(manifest.file(one)))
        found += [(path, other) for other in alike if hashes[other] == hashes[path]]
    return found


def broken_images(manifest: Manifest, rows: pd.DataFrame) -> list[str]:
    """Decodes the images of some rows; returns why each unusable one is unusable."""
    files = [manifest.file(path) for path in rows["path"].unique()]
    with progress("checking images", len(files)) as advance:
        return find_broken(files, os.cpu_count() or 1, lambda: advance(1))


def embed_rows(
    encoder: Encoder, manifest: Manifest, rows: pd.DataFrame, title: str, errors: dict[int, str] | None = None
) -> np.ndarray:
    """Embeds rows of a manifest, float32 [N, D]; see `Encoder.embed` for `errors`."""
    with progress(f"embedding {title}", len(rows)) as advance:
        files = [manifest.file(path) for path in rows["path"]]
        return encoder.embed(files, boxes_of(rows), errors=errors, progress=advance)


def embed_protocol(encoder: Encoder, manifest: Manifest, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Embeds the queries, float32 [Q, D], and the references [R, D] of a protocol.

    Raises:
        ImageError: An image cannot be used.
    """
    references = embed_rows(encoder, manifest, protocol.references, "references")
    return embed_rows(encoder, manifest, protocol.queries, "queries"), references


def embed_any(encoder: Encoder, data: dict[str, Any], output: Path) -> tuple[Gallery, list[str]]:
    """Embeds a data set (without augmented copies) or any folder (label = name of its folder) into a gallery folder.

    Returns:
        What was written, and the reasons of the images that could not be used and are left out.

    Raises:
        ManifestError: No image there.
    """
    root = Path(str(data["root"])) if data["root"] else None
    market = root is not None and root.is_dir() and market_root(root) is not None
    if root is not None and root.is_dir() and not market and not (root / "train").is_dir():
        files = [file for file in find_images(root) if not any((above / RECIPE).is_file() for above in file.parents)]
        rows = pd.DataFrame(
            {
                "path": [file.relative_to(root).as_posix() for file in files],
                "label": [normalize("NFC", file.parent.name) for file in files],
            }
        )
        listed_out = find_exclusions(Path(data["exclude"]) if data.get("exclude") else None, root)
        rows, notes = without(rows, *listed_out)
        for note in notes:
            say(f"{root}: {note}")
        rows = rows.reset_index(drop=True)
        manifest = Manifest(root, rows)
    else:
        manifest = read_data(**data)
        rows = manifest.original
    if rows.empty:
        raise ManifestError(f"{root}: no image in it: give a folder of images or a .csv / .parquet table")
    if output.exists() and not (output / "gallery.json").is_file():
        raise ManifestError(f"output={output}: exists and holds no embeddings: give the name of a new folder")
    errors: dict[int, str] = {}
    embeddings = embed_rows(encoder, manifest, rows, "images", errors)
    good = [row for row in range(len(rows)) if row not in errors]
    kept = rows.iloc[good]
    gallery = Gallery(
        embeddings[good],
        kept["label"].tolist(),
        kept["path"].tolist(),
        manifest.root.resolve(),
        encoder.fingerprint,
        encoder.precision,
    )
    with atomic_folder(output.absolute()) as folder:
        gallery.save(folder)
    return gallery, list(errors.values())
