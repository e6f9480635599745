"""Reads what benchmarks/peers/authors.py made, and says how near our embeddings are; writes docs/authors.md.

python benchmarks/authors.py [--made FOLDER] [--images FOLDER] [--names]

Without --made the checkpoints are made first, with the Python of benchmarks/peers/.venv-authors (`make authors`).
--names also writes tests/authors/names: names, shapes and the fixed embedding of every kind. Exit code 1 where the
cosine of an image is below 1 - 1e-6, by the network of the kind or by the way that every checkpoint goes (`eval.py`).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookalike.data.images import read_image
from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError
from lookalike.models.checkpoint_tensors import read_weights
from lookalike.models.networks.assembled import Assembled, assembled
from lookalike.models.networks.conventions.every import CONVENTIONS
from lookalike.recognition.given import Given
from lookalike.recognition.network import network_of
from lookalike.recognition.pixel_facts import pixels_of
from lookalike.recognition.recognise import recognise

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / "benchmarks" / "peers" / ".venv-authors" / "bin" / "python"
NAMES = ROOT / "tests" / "authors" / "names"
NEAR = 1e-6
COUNT = 4  # images
COMMON_NAMES = "reid-strong-baseline"  # other projects have its names, too, so a person says it


@dataclass(frozen=True)
class Line:
    """What came out for one kind.

    Attributes:
        about: As the maker wrote it.
        own: The smallest cosine over the images of what `models.networks` makes of the file; None for networks of timm.
        recognised: The same of what every command makes of it; None where it asks a person for something.
        asked: What it asks for.
        given: What was given, as the project's file does not say it.
        apart: The largest cosine of two different images, for comparison.
        unused: How many tensors of the file come behind the embedding.
    """

    about: dict[str, Any]
    own: float | None
    recognised: float | None
    asked: str
    given: str
    apart: float
    unused: int | None

    @property
    def smallest(self) -> float:
        """Of both ways."""
        return min(value for value in (self.own, self.recognised, 1.0) if value is not None)

    def __str__(self) -> str:
        about = self.about
        version = f"after {about['version']}" if about["replica"] else about["version"]
        ways = (_shown(self.own), _shown(self.recognised) or f"refused: {self.asked}", self.given)
        cells = (about["kind"], version, about["checkpoint"], self.unused or "", f"{self.apart:.4f}", *ways)
        return f"| {' | '.join(map(str, cells))} |"


def _shown(cosine: float | None) -> str:
    if cosine is None:
        return ""
    return f"1 - {1 - cosine:.0e}" if cosine < 1 else "1"


def filled(file: Path, size: tuple[int, int]) -> Assembled:
    """The network that the names and shapes of a file show, with its tensors, each by its name."""
    tensors = read_weights(file).tensors
    made = assembled({name: tuple(tensor.shape) for name, tensor in tensors.items()}, size)
    assert made is not None, f"{file}: not recognised"
    own = made.network.state_dict()
    given = {name: tensors[made.prefix + name] for name in own if made.prefix + name in tensors}
    made.network.load_state_dict({**own, **given})
    made.network.eval()
    return made


def by_networks(about: dict[str, Any], file: Path) -> tuple[np.ndarray, int]:
    """What `models.networks` makes of the images, by the convention of the project; and how many tensors are unused."""
    size = tuple(about["size"])
    made = filled(file, size)
    way = made.convention
    settings = PixelSettings(*size, way.resize, way.interpolation, way.antialias, way.shorter_side)
    images = torch.from_numpy(_images(about, settings)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (way.mean, way.std))
    cameras = about.get("cameras")
    sides = torch.arange(len(images)) % cameras if cameras else None
    with torch.no_grad():
        return made.with_rules()((images - mean) / std, sides).numpy(), len(made.unused)


def by_recognition(about: dict[str, Any], file: Path) -> tuple[np.ndarray, str]:
    """What every command makes of them; and what was given beside the file.

    Raises:
        LookalikeError: It asks for more.
    """
    size = tuple(about["size"])
    project = {"project": about["project"]} if about["project"] == COMMON_NAMES else {}
    recognised, tensors = recognise(file, Given(project))
    pixels, said = pixels_of(recognised.facts), "its project" if project else ""
    if (pixels.height, pixels.width) != size:
        recognised, tensors = recognise(file, Given(project, {"height": size[0], "width": size[1]}))
        pixels, said = pixels_of(recognised.facts), "its size"
    network = network_of(recognised, tensors)
    with torch.no_grad():
        return network(torch.from_numpy(_images(about, pixels))).numpy(), said


def _images(about: dict[str, Any], settings: PixelSettings) -> np.ndarray:
    return np.stack([read_image(Path(file), settings) for file in about["images"]])


def _nearness(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return 0.0
    ours, theirs = (part.astype(np.float64) for part in (ours, theirs))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(1) / lengths).min())


def read(folder: Path) -> Line:
    """Embeds the images with the checkpoint of one kind, by our own reading of file and images."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    file, theirs = folder / about["checkpoint"], np.load(folder / "embeddings.npy")
    unit = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    apart = float((unit @ unit.T)[~np.eye(len(unit), dtype=bool)].max())
    own, unused = None, None
    shapes_tell = about["project"] in {way.project for way in CONVENTIONS.values()} - {"open-metric-learning"}
    if shapes_tell and not about.get("configured"):
        ours, unused = by_networks(about, file)
        own = _nearness(ours, theirs)
    try:
        ours, said = by_recognition(about, file)
    except LookalikeError as error:
        return Line(about, own, None, str(error).rpartition(": ")[2], "", apart, unused)
    except Exception as error:  # a fault of ours: the table says so, and the exit code
        return Line(about, own, 0.0, "", f"{type(error).__name__}: {error}", apart, unused)
    return Line(about, own, _nearness(ours, theirs), "", said, apart, unused)


def page(lines: list[Line]) -> str:
    """docs/authors.md."""
    worst = min(lines, key=lambda line: line.smallest)
    ways = "\n".join(
        f"| {way.project} | {way.version} | {way.height} x {way.width} | {way.interpolation} | "
        f"{', '.join(f'{value:g}' for value in way.mean)} | {way.flip} | {way.taken} | "
        f"{'unit length, ' if way.unit_length else ''}{way.distance} |"
        for way in CONVENTIONS.values()
    )
    torch_version = torch.__version__.partition("+")[0]
    return f"""# Checkpoints of other projects, run as their authors do

Written by `python benchmarks/authors.py`. For every line the project's own code, in an environment of its own, built a
network with random weights and batch norms that have seen photographs, saved it as the project saves, read {COUNT}
photographs as the project reads them and embedded them as the project's test does; lookalike then read the checkpoint
and the photographs by itself.

*Own* and *recognised* are the smallest cosine of the {COUNT} between both embeddings: of the network by itself
(`lookalike.models.networks`), and of what `eval.py ckpt_path=...` and every other command make of the file. *Apart* is
the largest between two different pictures, which random weights do not tell apart well: it says how much a cosine near
1 is worth. *Unused* tensors come behind the embedding: classifiers, text towers. Lines "after" a commit are of projects
that no registry has: their networks were built anew, of torch, torchvision and timm, after the files of that commit
(`tests/authors/replicas.py`).

Smallest of all: 1 - {1 - worst.smallest:.0e} ({worst.about["kind"]}), {len(lines)} checkpoints, torch {torch_version}.

| kind | version | file | unused | apart | own | recognised | given |
|---|---|---|--:|--:|--:|--:|---|
{chr(10).join(map(str, lines))}

## How the projects test

Each of these stands in a file of the project: `lookalike.models.networks.conventions` names it.

| project | read at | images | resampled | mean | flip | embedding | compared by |
|---|---|---|---|---|---|---|---|
{ways}
"""


def write_names(folder: Path) -> None:
    """tests/authors/names/<kind>.json, for kinds whose file is not merely another format of one that is there."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    if about["kind"].endswith(("-legacy", "-safetensors", "-lightning")) or not (about["golden"] or about["replica"]):
        return
    NAMES.mkdir(exist_ok=True)
    kept = {name: about[name] for name in ("project", "version", "size", "tensors")}
    kept |= {} if about["replica"] else {"golden": about["golden"]}
    kept |= {"cameras": about["cameras"]} if about.get("cameras") else {}
    text = json.dumps(kept, indent=0, ensure_ascii=False)
    (NAMES / f"{about['kind']}.json").write_text(f"{text}\n", encoding="utf-8")


def photographs(folder: Path) -> list[Path]:
    """The same few of a folder, from all over it."""
    files = sorted(folder.rglob("*.jpg"))
    return files[5 :: max(1, len(files) // COUNT)][:COUNT]


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--made", type=Path)
    parser.add_argument("--images", type=Path, default=ROOT.parent / "shared" / "data" / "grocery-shops")
    parser.add_argument("--names", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = given.made or Path(place)
        if given.made is None:
            maker = ROOT / "benchmarks" / "peers" / "authors.py"
            subprocess.run([PYTHON, maker, folder, *photographs(given.images)], check=True)
        lines = []
        for about in sorted(folder.glob("*/about.json")):
            lines.append(read(about.parent))
            print(lines[-1], flush=True)
            if given.names:
                write_names(about.parent)
    (ROOT / "docs" / "authors.md").write_text(page(lines), encoding="utf-8")
    sys.exit(int(any(line.smallest < 1 - NEAR for line in lines)))


if __name__ == "__main__":
    main()
