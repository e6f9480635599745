"""Reads what benchmarks/peers/authors.py made, and says how near our embeddings are; writes docs/authors.md.

python benchmarks/authors.py [--made FOLDER] [--images FOLDER] [--names]

Without --made the checkpoints are made first, with the Python of benchmarks/peers/.venv-authors (`make authors`).
--names also writes tests/authors/names: names, shapes and the fixed embedding of every kind. Exit code 1 where the
cosine of an image is below 1 - 1e-6.
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
from lookalike.models.checkpoint_tensors import read_weights
from lookalike.models.networks.assembled import Assembled, assembled, wrapper_of
from lookalike.models.networks.conventions.every import CONVENTIONS

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / "benchmarks" / "peers" / ".venv-authors" / "bin" / "python"
NAMES = ROOT / "tests" / "authors" / "names"
NEAR = 1e-6
COUNT = 4  # images


@dataclass(frozen=True)
class Line:
    """What came out for one kind.

    Attributes:
        about: As the maker wrote it.
        way: The convention that was taken.
        file: Name of the checkpoint.
        cosine: The smallest over the images.
        apart: The largest cosine of two different images, for comparison.
        unused: How many tensors of the file come behind the embedding.
    """

    about: dict[str, Any]
    way: str
    file: str
    cosine: float
    apart: float
    unused: int

    def __str__(self) -> str:
        about = self.about
        version = f"after {about['version']}" if about["replica"] else about["version"]
        cosine = f"1 - {1 - self.cosine:.0e}" if self.cosine < 1 else "1"
        cells = (about["kind"], about["project"], version, self.file, self.unused, f"{self.apart:.4f}", cosine)
        return f"| {' | '.join(map(str, cells))} |"


def filled(file: Path, size: tuple[int, int]) -> Assembled:
    """The network that the names and shapes of a file show, with its tensors, each by its name."""
    tensors = read_weights(file).tensors
    wrapper = wrapper_of(list(tensors))
    tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
    made = assembled({name: tuple(tensor.shape) for name, tensor in tensors.items()}, size)
    assert made is not None, f"{file}: not recognised"
    own = made.network.state_dict()
    made.network.load_state_dict({**own, **{name: tensors[name] for name in own if name in tensors}})
    made.network.eval()
    return made


def read(folder: Path) -> Line:
    """Embeds the images with the checkpoint of one kind, by our own reading of file and images."""
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    files = [Path(file) for file in about["images"]]
    made = filled(folder / about["checkpoint"], tuple(about["size"]))
    height, width = about["size"]
    way = made.convention
    settings = PixelSettings(height, width, way.resize, way.interpolation, way.antialias)
    images = torch.from_numpy(np.stack([read_image(file, settings) for file in files])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (way.mean, way.std))
    cameras = about.get("cameras")
    sides = torch.arange(len(files)) % cameras if cameras else None
    with torch.no_grad():
        ours = made.with_rules()((images - mean) / std, sides).numpy().astype(np.float64)
    theirs = np.load(folder / "embeddings.npy").astype(np.float64)
    unit_ours, unit_theirs = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (ours, theirs))
    others = (unit_theirs @ unit_theirs.T)[~np.eye(len(files), dtype=bool)]
    cosine = float((unit_ours * unit_theirs).sum(1).min())
    return Line(about, way.project, about["checkpoint"], cosine, float(others.max()), len(made.unused))


def page(lines: list[Line]) -> str:
    """docs/authors.md."""
    worst = min(lines, key=lambda line: line.cosine)
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

*Cosine* is the smallest of the {COUNT} between both embeddings; *apart* is the largest between two different pictures,
which random weights do not tell apart well: it says how much a cosine near 1 is worth. *Unused* tensors come behind the
embedding: classifiers, text towers. Lines "after" a commit are of projects that no registry has: their networks were
built anew, of torch, torchvision and timm, after the files of that commit (`tests/authors/replicas.py`).

Smallest of all: 1 - {1 - worst.cosine:.0e} ({worst.about["kind"]}), {len(lines)} checkpoints, torch {torch_version}.

| kind | project | version | file | unused | apart | cosine |
|---|---|---|---|--:|--:|--:|
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
    if about["kind"].endswith(("-legacy", "-safetensors", "-lightning")):
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
    sys.exit(int(any(line.cosine < 1 - NEAR for line in lines)))


if __name__ == "__main__":
    main()
