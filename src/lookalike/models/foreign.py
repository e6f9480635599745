"""Checkpoints that another project wrote: its names and ours are brought together by name and shape.

The backbone is found under whatever prefix it has. A linear head, a BN neck and the power of GeM pooling have no agreed
names: they are looked for by the names that projects use, and taken only when their shapes fit exactly.

Letters in shapes: D embedding, W width of the backbone's features.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lookalike.errors import ModelError
from lookalike.models.checkpoint_tensors import read_tensors
from lookalike.models.embedder import Embedder
from lookalike.models.gem import GeM

_SHOWN = 4
_COUNT = "num_batches_tracked"  # of batch norm: nothing reads it, and files from before PyTorch 0.4.1 lack it
_HEADS = {
    *("fc", "head", "embedding", "embedder", "embed", "linear", "last_linear", "proj", "projection", "projector"),
    *("bottleneck", "embedding_layer", "fc_embedding", "output_layer"),
}
_NECKS = {"neck", "bnneck", "bn_neck", "bottleneck", "bn", "bottleneck_bn", "features", "feat_bn", "bn_embedding"}
_LOSSES = re.compile(r"(^|\.)(loss|criterion|classif|arcface|arc_|cosface|margin|metric|logits|queue|aux)")
_COPIES = re.compile(r"(^|[._])(teacher|ema|momentum|encoder_k|target|swa)([._]|$)")
_IMAGENET = {1000, 1001, 11221, 21841, 21843}
_NECK_PARTS = ("weight", "bias", "running_mean", "running_var", _COUNT)
_RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}


@dataclass(frozen=True)
class Match:
    """How the tensors of a file and of an embedder came together.

    Attributes:
        matched: Names in the embedder that took their values from the file.
        missing: Names in the embedder that the file has not. Batch norm's count of batches, which nothing reads, and
            a bias whose layer has none in the file (it becomes 0) are not among them.
        unexpected: Names in the file that the embedder has no place for.
        reshaped: Name in the embedder, shape in the file, shape in the embedder, where these differ.
        prefix: What stands before the backbone's names in the file.
    """

    matched: list[str]
    missing: list[str]
    unexpected: list[str]
    reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]]
    prefix: str

    def __str__(self) -> str:
        wanted = len(self.matched) + len(self.missing) + len(self.reshaped)
        prefix = f"prefix {self.prefix}" if self.prefix else "no prefix"
        parts = [f"{len(self.matched)} of {wanted} tensors of the embedder matched ({prefix})"]
        if self.missing:
            parts.append(f"{len(self.missing)} missing in the file: {_first(self.missing)}")
        if self.reshaped:
            shapes = [f"{name} (file {_shape(there)}, here {_shape(here)})" for name, there, here in self.reshaped]
            parts.append(f"{len(shapes)} of another shape: {_first(shapes)}")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} in the file not used: {_first(self.unexpected)}")
        return "; ".join(parts)


def load_foreign(embedder: Embedder, file: Path, *, allow_partial: bool = False) -> Match:
    """Loads the weights of another project's checkpoint in place.

    Args:
        embedder: Takes the values; on an error it is as before.
        file: A `.safetensors` or torch file; no pickle in it is executed.
        allow_partial: Load what fits even when tensors are missing; these keep the values they have.

    Returns:
        What was matched, for the user to read.

    Raises:
        ModelError: The file does not give the whole embedder, or nothing of it, or values that are not finite.
        TensorsError: The file cannot be read.
    """
    plan = _Plan(embedder, read_tensors(file))
    match, loaded = plan.match()
    if not any(name.startswith("backbone.") and not name.endswith(_COUNT) for name in match.matched):
        raise ModelError(f"{file}: nothing in it is of this embedder: {match}; {plan.other_backbone()}")
    ways = plan.ways_out(match)
    if ways and not allow_partial:
        raise ModelError(f"{file}: {match}; {'; '.join(ways)}; or allow_partial=true to load what fits")
    broken = [name for name in match.matched if not torch.isfinite(loaded[name]).all()]
    if broken:
        raise ModelError(
            f"{file}: expected finite weights, found nan or inf in {len(broken)} tensors ({_first(broken)}): "
            "its training diverged or the file is damaged: take an earlier checkpoint"
        )
    embedder.load_state_dict(loaded, strict=False)
    return match


@dataclass
class _Plan:
    """Which tensor of the file goes where.

    Attributes:
        embedder: The one to be filled.
        tensors: Name in the file -> tensor.
        sources: Name in the embedder -> name in the file.
        notes: What else in the file changes the embedding, and the setting that takes it in.
    """

    embedder: Embedder
    tensors: dict[str, Tensor]
    sources: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wanted: dict[str, Tensor] = self.embedder.state_dict()
        pools = [name for name, part in self.embedder.backbone.named_modules() if isinstance(part, GeM)]
        self.powers = [f"backbone.{name}.power" for name in pools]
        names = [name for name in self.wanted if name.startswith("backbone.") and name not in self.powers]
        self.inner = {name.removeprefix("backbone."): self.wanted[name] for name in names}
        self.prefix = self._find_prefix()
        self.sources = {f"backbone.{name}": self.prefix + name for name in self.inner}
        stages = {found[1] for name in self.inner if (found := re.match(r"(\w+)\.\d+\.", name))}
        rests = [name.removeprefix(self.prefix) for name in self.tensors if name.startswith(self.prefix)]
        deeper = {rest for rest in rests if rest.partition(".")[0] in stages and rest not in self.inner}
        # ResNet34 has all tensors of ResNet18 and more; only weights count, as old files have buffers that are gone.
        self.deeper = any(rest.endswith(".weight") for rest in deeper)
        # A second copy of the backbone (a teacher, a moving average) is no place to look for a head in.
        others = [name for name in self.tensors if not any(rest in self.inner for _, rest in _splits(name))]
        others = [name for name in others if name.removeprefix(self.prefix) not in deeper]
        self.free = [name for name in others if not _LOSSES.search(name.removeprefix(self.prefix))]
        head = self._find_head()
        self._find_neck(head)
        self._find_power()

    def _find_prefix(self) -> str:
        """The one under which most tensors fit by name and shape, then by name; of equals no copy, then the first."""
        scores: dict[str, list[int]] = {}
        for name, tensor in self.tensors.items():
            for prefix, rest in _splits(name):
                if rest in self.inner:
                    score = scores.setdefault(prefix, [0, 0])
                    score[0] += _fits(tensor, self.inner[rest])
                    score[1] += 1
        return max(scores, key=lambda prefix: (*scores[prefix], not _COPIES.search(prefix)), default="")

    def _nearest(self, names: list[str]) -> list[str]:
        """Those that are no copies first, then those that share most of the backbone's prefix; else in file order."""
        ours = self.prefix.split(".")

        def distance(name: str) -> tuple[bool, int]:
            shared = sum(1 for _ in _common(ours, name.split(".")))
            return bool(_COPIES.search(name.removeprefix(self.prefix))), -shared

        return sorted(names, key=distance)

    def _find_head(self) -> str:
        """The name of the linear layer in the file without `.weight`, or empty."""
        names = [name for name in self.free if name.endswith(".weight") and self.tensors[name].ndim == 2]
        stems = [name.removesuffix(".weight") for name in names]
        shapes = {stem: tuple(self.tensors[f"{stem}.weight"].shape) for stem in stems}
        if "head.weight" not in self.wanted:
            return ""
        size, width = self.wanted["head.weight"].shape
        fitting = self._nearest([stem for stem in stems if shapes[stem] == (size, width)])
        known = [stem for stem in fitting if _word(stem) in _HEADS]
        stem = known[0] if known else fitting[0] if len(fitting) == 1 else ""
        layers = [other for other in stems if _container(stem) and other.startswith(_container(stem))]
        if sum(shapes[other][1] == width for other in layers) > 1:
            self.notes.append(
                f"{_container(stem)[:-1]} in the file has several linear layers ({_first(layers)}), the head here is "
                "one: give model.embedding_size=null for the backbone's own features"
            )
            return ""
        if not stem:  # of another size; an ImageNet classifier is none
            others = [stem for stem, (rows, columns) in shapes.items() if columns == width and rows not in _IMAGENET]
            stem = next(iter(self._nearest([stem for stem in others if _word(stem) in _HEADS])), "")
        if stem:
            self.sources |= {f"head.{part}": f"{stem}.{part}" for part in ("weight", "bias")}
        return stem

    def _find_neck(self, head: str) -> None:
        ours = "neck.running_mean" in self.wanted
        size = self.embedder.embedding_size
        names = [name for name in self.free if name.endswith(".running_mean") and len(self.tensors[name]) == size]
        stems = self._nearest([name.removesuffix(".running_mean") for name in names])
        beside = _container(head)
        known = [stem for stem in stems if _word(stem) in _NECKS or (beside and stem.startswith(beside))]
        if not ours and known:
            self.notes.append(f"the file has a batch norm behind its head ({known[0]}): give model.bn_neck=true")
        stem = known[0] if known else stems[0] if len(stems) == 1 else ""
        if ours and stem:
            self.sources |= {f"neck.{part}": f"{stem}.{part}" for part in _NECK_PARTS}

    def _find_power(self) -> None:
        found = [
            name
            for name in self.free
            if self.tensors[name].numel() == 1
            and re.search(r"(^|\.)(p|power)$", name)
            and re.search(r"pool|gem", name.lower())
        ]
        for name in self._nearest(found)[:1]:
            if self.powers:
                self.sources[self.powers[0]] = name
                self.tensors[name] = self.tensors[name].reshape(())
            else:
                self.notes.append(f"the file pools with GeM ({name}): give model.pooling=gem")

    def match(self) -> tuple[Match, dict[str, Tensor]]:
        """What came together, and the values to load."""
        missing: list[str] = []
        reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
        loaded: dict[str, Tensor] = {}
        for name, here in self.wanted.items():
            there = self.tensors.get(self.sources.get(name, ""))
            if there is not None and _fits(there, here):
                loaded[name] = there
            elif name.endswith(_COUNT):
                continue
            elif there is not None and there.shape != here.shape:
                reshaped.append((name, tuple(there.shape), tuple(here.shape)))
            else:
                missing.append(name)
        matched = list(loaded)
        for name, other, value in (
            ("head.bias", "head.weight", 0.0),
            ("neck.bias", "neck.running_mean", 0.0),
            ("neck.weight", "neck.running_mean", 1.0),
        ):
            if name in missing and other in loaded and self.sources[name] not in self.tensors:
                missing.remove(name)
                loaded[name] = torch.full_like(self.wanted[name], value)
        used = {self.sources[name] for name in self.sources if name in self.wanted}
        unexpected = [name for name in self.tensors if name not in used]
        return Match(matched, missing, unexpected, reshaped, self.prefix), loaded

    def ways_out(self, match: Match) -> list[str]:
        """A line per thing that stands in the way; empty when the whole embedder matched and nothing else acts."""
        shapes = {name: (there, here) for name, there, here in match.reshaped}
        gone = {*match.missing, *shapes}
        if self.deeper or any(name.startswith("backbone.") for name in gone.difference(self.powers)):
            return [self.other_backbone()]
        ways = list(self.notes)
        if "head.weight" in shapes:
            there, here = shapes["head.weight"]
            ways.append(
                f"head.weight is {_shape(there)} in the file ({self.sources['head.weight']}), {_shape(here)} here: "
                f"give model.embedding_size={there[0]}, or null for the backbone's own features if that is a classifier"
            )
        elif "head.weight" in gone and not self.notes:
            ways.append("no head in the file: give model.embedding_size=null for the backbone's own features")
        if "neck.running_mean" in gone and "head.weight" not in gone:
            ways.append("no batch norm behind the head in the file: give model.bn_neck=false")
        if gone.intersection(self.powers):
            ways.append("no power of GeM pooling in the file: give model.pooling=avg")
        return ways or ([f"{_first(sorted(gone))}: expected in the file"] if gone else [])

    def other_backbone(self) -> str:
        """Says that the file is of another architecture, and of which when its names tell."""
        ours = self.embedder.backbone.pretrained_cfg.get("architecture", "this one")
        guess = _resnet(self.tensors)
        if guess == ours:
            return f"the file does not hold the whole of {ours}: take one that does"
        hint = f"its names look like {guess}: give model.backbone={guess}" if guess else "give its model.backbone"
        return f"the file is of another backbone than {ours}: {hint}"


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """(prefix with its dot, rest) of a dotted name, from no prefix on."""
    for cut in [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]:
        yield name[:cut], name[cut:]


def _common(ours: list[str], theirs: list[str]) -> Iterator[str]:
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            return
        yield one


def _fits(there: Tensor, here: Tensor) -> bool:
    return there.shape == here.shape and there.is_floating_point() == here.is_floating_point()


def _word(stem: str) -> str:
    """`fc` of `net.fc`, of `net.fc.0` and of `net.fc1`."""
    parts = [part for part in stem.split(".") if not part.isdigit()]
    return parts[-1].lower().rstrip("0123456789") if parts else ""


def _container(stem: str) -> str:
    """`net.fc.` of `net.fc.0`, empty for a layer that is no element of a sequence."""
    return re.sub(r"\d+$", "", stem) if re.search(r"\.\d+$", stem) else ""


def _first(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join([name[:100] for name in names[:_SHOWN]] + ([f"and {more} more"] if more > 0 else []))


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one value"


def _resnet(tensors: dict[str, Tensor]) -> str:
    """The ResNet whose layer counts the names show, empty for anything else."""
    blocks: dict[int, set[int]] = {}
    deep = False
    for name, tensor in tensors.items():
        if found := re.search(r"(?:^|\.)layer([1-4])\.(\d+)\.conv([123])\.weight$", name):
            blocks.setdefault(int(found[1]), set()).add(int(found[2]))
            deep |= found[3] == "3"
            if found[0].endswith("layer1.0.conv2.weight") and tensor.shape != (64, 64, 3, 3):
                return ""
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    return _RESNETS.get((counts, deep), "") if len(counts) == 4 else ""
