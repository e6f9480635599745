"""Market-1501's multi-query, against a writing of the rule of the code that its figures come from."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from lookalike.data.manifest import Manifest
from lookalike.data.reading import read_manifest
from lookalike.evaluation.assessment import assess
from lookalike.evaluation.identify import Rules
from lookalike.evaluation.multi_query import multi_query

ALONE = 2  # queries without images in gt_bbox


class Hashing:
    """Embeds the bytes of files: images of one person are near each other, and no two are alike."""

    def embed(self, files: list[Path], boxes: list, **_: object) -> np.ndarray:
        assert boxes == [None] * len(files)
        rows = []
        for file in files:
            of_image, of_person = (
                np.random.default_rng(list(hashlib.sha256(seed).digest())).standard_normal(16)
                for seed in (file.read_bytes(), file.name.split("_")[0].encode())
            )
            rows.append(of_image + 0.5 * of_person)
        unit: np.ndarray = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit.astype(np.float32)


@pytest.fixture(scope="module")
def manifest(few_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """With two further images of all queries but some, and images of people that nobody asks for."""
    root = tmp_path_factory.mktemp("multi") / "market"
    root.mkdir()
    for folder in few_market.iterdir():
        (root / folder.name).symlink_to(folder)
    boxes = root / "gt_bbox"
    boxes.mkdir()
    queries = read_manifest(few_market).protocol("test").queries
    for number, path in enumerate(queries["path"].iloc[ALONE:]):
        image = cv2.imread(str(few_market / path))
        for copy, shown in enumerate((image[:, ::-1], cv2.GaussianBlur(image, (5, 5), 0))):
            name = Path(path).name.split("_")
            cv2.imwrite(str(boxes / f"{name[0]}_{name[1]}_{900000 + number:06d}_0{copy}.jpg"), shown)
    cv2.imwrite(str(boxes / "9999_c1s1_000001_00.jpg"), image)
    (boxes / "Thumbs.db").write_bytes(b"x")
    return read_manifest(root)


def replica(manifest: Manifest, pool: str) -> dict[str, float]:
    """Rank-1 and mAP as evaluate_gpu.py has it: a query is the mean of its person's and camera's images.

    The trapezoid AP is that of the code; the rectangle is torchreid's.
    """
    plain = manifest.protocol("test")

    def embedded(paths: list[str]) -> np.ndarray:
        return Hashing().embed([manifest.file(path) for path in paths], [None] * len(paths)).astype(np.float64)

    gallery = plain.references
    features = embedded(gallery["path"].tolist())
    labels, cameras = gallery["label"].to_numpy(object), gallery["camera"].to_numpy(np.int64)
    junk = gallery["ignore"].to_numpy(bool)
    boxes = sorted((manifest.root / "gt_bbox").glob("*.jpg"))
    of_boxes = embedded([f"gt_bbox/{file.name}" for file in boxes])
    facts = [(file.name.split("_")[0], int(file.name.split("_c")[1][0])) for file in boxes]
    rank_1, rectangles, trapezoids = [], [], []
    for path, label, camera in zip(*(plain.queries[name] for name in ("path", "label", "camera")), strict=True):
        mine = of_boxes[[fact == (label, int(camera)) for fact in facts]]
        mine = mine if len(mine) else embedded([path])
        asking = mine.mean(0) if pool == "mean" else mine.max(0)
        left = ~junk & ~((labels == label) & (cameras == camera))
        order = np.flatnonzero(left)[np.argsort(-(features[left] @ asking), kind="stable")]
        places = np.flatnonzero(labels[order] == label)
        if len(places):
            rank_1.append(places[0] == 0)
            ranks = places + 1.0
            before = [number / (rank - 1) if rank > 1 else 1.0 for number, rank in enumerate(ranks)]
            rectangles.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
            trapezoids.append((rectangles[-1] + np.mean(before)) / 2)
    return {"cmc@1": np.mean(rank_1), "map": np.mean(rectangles), "map_trapezoid": np.mean(trapezoids)}


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_all_images_of_a_person_and_camera_ask_together(
    manifest: Manifest, pool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = assess(Hashing(), "hashing", manifest, "test", Rules(pool=pool), {})
    expected = replica(manifest, pool)
    for name, value in expected.items():
        assert made.metrics[name] == pytest.approx(value, abs=1e-6), name
    assert made.standard is not None
    assert made.standard.figures["test"]["map"].mean == pytest.approx(expected["map"], abs=1e-6)
    queries = len(manifest.protocol("test").queries)
    images = 2 * (queries - ALONE) + ALONE
    text = f"multi-query: each asks as the {pool} of the embeddings of the images of its label and camera in gt_bbox/, "
    assert f"{text}{images} in all" in made.identification.result.protocol
    assert f"as papers on market1501 print it: {text}{images} in all; query/ asks" in str(made.standard)
    told = f"{ALONE} of {queries} queries have no image of their person and camera in gt_bbox/: they ask alone"
    assert told in capsys.readouterr().err
    assert len(made.table()) == queries


def test_without_pooling_or_the_folder_single_images_ask(manifest: Manifest, few_market: Path) -> None:
    for data, pool in ((manifest, None), (manifest, "none"), (read_manifest(few_market), "mean")):
        protocol = data.protocol("test")
        assert multi_query(data, protocol, pool) is protocol
