"""Where the tensors of an embedder stand in the file of another project, by name and shape.

The backbone is found under whatever prefix it has. A linear head, a BN neck and the power of GeM pooling have no agreed
names: they are looked for by the names that projects use, and taken only when their shapes fit exactly.

Letters in shapes: D embedding, W width of the backbone's features.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor

from lookalike.models.embedder import Embedder
from lookalike.models.gem import GeM

COUNT = "num_batches_tracked"  # of batch norm: nothing reads it, and files from before PyTorch 0.4.1 lack it
_SHOWN = 4
_HEADS = {
    *("fc", "head", "embedding", "embedder", "embed", "linear", "last_linear", "proj", "projection", "projector"),
    *("bottleneck", "embedding_layer", "fc_embedding", "output_layer", "add_block", "reduction", "feat", "embeddings"),
}
_NECKS = {"neck", "bnneck", "bn_neck", "bottleneck", "bn", "bottleneck_bn", "features", "feat_bn", "bn_embedding"}
_LOSSES = re.compile(r"(^|\.)(loss|criterion|classif|cls_|arcface|arc_|cosface|margin|metric|logits|queue|aux)")
_IN_CLASSIFIER = re.compile(r"(^|\.)classif\w*\.(\w+\.)*(add_block|embedd?\w*|bottleneck|reduction|feat|neck|bnneck)\.")
_COPIES = re.compile(r"(^|[._])(teacher|ema|momentum|encoder_k|target|swa)([._]|$)")
IMAGENET_CLASSES = {1000, 1001, 11221, 21841, 21843}
_NECK_PARTS = ("weight", "bias", "running_mean", "running_var", COUNT)
_RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}


@dataclass
class Sources:
    """Which tensor of the file goes where.

    Attributes:
        prefix: What stands before the backbone's names in the file.
        names: Name in the embedder -> name in the file, which need not have it.
        powers: Names in the embedder of the powers of GeM pooling; any shape of one value in the file will do.
        deeper: The file holds a deeper network of which this backbone is a part.
        notes: What else in the file changes the embedding, and the setting that takes it in.
        copies: What stands before the names of other weights for the whole backbone: a teacher's, or an average.
        left_out: Linear layers behind the backbone that were asked to be left out.
    """

    prefix: str
    names: dict[str, str]
    powers: list[str]
    deeper: bool
    notes: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def find_sources(embedder: Embedder, tensors: dict[str, Tensor]) -> Sources:
    """Finds backbone, head, neck and pooling of an embedder in a file.

    Args:
        embedder: The one to be filled; it is not changed.
        tensors: Name in the file -> tensor.
    """
    wanted: dict[str, Tensor] = embedder.state_dict()
    pools = [name for name, part in embedder.backbone.named_modules() if isinstance(part, GeM)]
    powers = [f"backbone.{name}.power" for name in pools]
    names = [name for name in wanted if name.startswith("backbone.") and name not in powers]
    prefix, copies, written = _prefixes(
        {name.removeprefix("backbone."): wanted[name] for name in names}, embedder, tensors
    )
    inner = {written[name.removeprefix("backbone.")]: wanted[name] for name in names}
    stages = {stage[1] for name in inner if (stage := re.match(r"(\w+)\.\d+\.", name))}
    rests = [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]
    more = {rest for rest in rests if rest.partition(".")[0] in stages and rest not in inner}
    # ResNet34 has all tensors of ResNet18 and more; only weights count, as old files have buffers that are gone.
    deeper = any(rest.endswith(".weight") for rest in more)
    places = {f"backbone.{name}": prefix + there for name, there in written.items()}
    sources = Sources(prefix, places, powers, deeper, copies=copies)
    # A second copy of the backbone (a teacher, a moving average) is no place to look for a head in.
    others = [name for name in tensors if not any(rest in inner for _, rest in _splits(name))]
    others = [name for name in others if name.removeprefix(prefix) not in more]
    free = {name: tensors[name] for name in others if not of_a_loss(name.removeprefix(prefix))}
    head = _add_head(sources, free, wanted.get("head.weight"))
    _add_neck(sources, free, head, embedder.embedding_size, "neck.running_mean" in wanted)
    _add_power(sources, free)
    _add_rest(sources, free, embedder)
    return sources


def fits(there: Tensor, here: Tensor) -> bool:
    """Whether a tensor of a file can be copied into one of an embedder."""
    return there.shape == here.shape and there.is_floating_point() == here.is_floating_point()


def first_names(names: list[str]) -> str:
    """The first names for a sentence, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join([name[:100] for name in names[:_SHOWN]] + ([f"and {more} more"] if more > 0 else []))


def resnet_of(tensors: dict[str, Tensor]) -> str:
    """The ResNet whose layer counts the names show, empty for anything else."""
    blocks: dict[int, set[int]] = {}
    deep = False
    for name, tensor in tensors.items():
        if layer := re.search(r"(?:^|\.)(layer[1-4]|[4-7])\.(\d+)\.conv([123])\.weight$", name):
            stage = int(layer[1].removeprefix("layer"))
            stage -= 0 if layer[1].startswith("layer") else 3  # of nn.Sequential(*resnet.children())
            blocks.setdefault(stage, set()).add(int(layer[2]))
            deep |= layer[3] == "3"
            if stage == 1 and layer[0].endswith(".0.conv2.weight") and tensor.shape != (64, 64, 3, 3):
                return ""
    counts = tuple(len(blocks[stage]) for stage in sorted(blocks))
    return _RESNETS.get((counts, deep), "") if len(counts) == 4 else ""


def is_linear(tensor: Tensor) -> bool:
    """Whether a weight is that of a linear layer [D, W], or of a convolution that is one [D, W, 1, 1]."""
    return tensor.ndim == 2 or (tensor.ndim == 4 and tensor.shape[2:] == (1, 1))


def of_a_loss(name: str) -> bool:
    """Layers for the loss alone; a head inside what is called a classifier is none."""
    return bool(_LOSSES.search(name)) and not _IN_CLASSIFIER.search(name)


def _prefixes(
    inner: dict[str, Tensor], embedder: Embedder, tensors: dict[str, Tensor]
) -> tuple[str, list[str], dict[str, str]]:
    """The one under which most tensors fit, others under which nine in ten do, and inner name -> name behind it."""
    ways = []
    for written in _writings(list(inner), embedder):
        prefix, copies, score = _prefix({written[name]: tensor for name, tensor in inner.items()}, tensors)
        ways.append((score, prefix, copies, written))
    _, best, copies, written = max(ways, key=lambda way: way[0])
    return best, copies, written


def _writings(inner: list[str], embedder: Embedder) -> Iterator[dict[str, str]]:
    """As they are; numbered by `nn.Sequential(*backbone.children())`; the first layers in a `layer0` or `stem`."""
    yield {name: name for name in inner}
    children = [name for name, _ in embedder.backbone.named_children()]
    numbers = {child: str(number) for number, child in enumerate(children)}
    stem = children[: children.index("layer1")] if "layer1" in children else []
    for places in (numbers, *({child: f"{first}.{numbers[child]}" for child in stem} for first in ("layer0", "stem"))):
        parts = {name: name.partition(".") for name in inner}
        if stem and all(first in children for first, *_ in parts.values()):
            yield {name: f"{places.get(first, first)}.{rest}" for name, (first, _, rest) in parts.items()}


def _prefix(inner: dict[str, Tensor], tensors: dict[str, Tensor]) -> tuple[str, list[str], list[int]]:
    """The one under which most tensors fit by name and shape, then by name; of equals no copy, then the first.

    And those under which nine in ten fit, too; and how many of the best fit.
    """
    scores: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        for prefix, rest in _splits(name):
            if rest in inner:
                score = scores.setdefault(prefix, [0, 0])
                score[0] += fits(tensor, inner[rest])
                score[1] += 1
    best = max(scores, key=lambda prefix: (*scores[prefix], not _COPIES.search(prefix)), default="")
    copies = [prefix for prefix, score in scores.items() if prefix != best and score[0] * 10 >= len(inner) * 9]
    return best, copies, scores.get(best, [0, 0])


def _add_head(sources: Sources, free: dict[str, Tensor], weight: Tensor | None) -> str:
    """Adds the linear layer; returns its name in the file without `.weight`, or empty.

    Args:
        sources: Takes the names, and a note when the file has several linear layers.
        free: Tensors of the file that belong to neither backbone nor loss.
        weight: The embedder's, [D, W]; None for one without head.
    """
    if weight is None:
        return ""
    shapes = _linear_layers(free)
    size, width = weight.shape
    fitting = _nearest([stem for stem, shape in shapes.items() if shape == (size, width)], sources.prefix)
    named = [stem for stem in fitting if _word(stem) in _HEADS]
    stem = named[0] if named else fitting[0] if len(fitting) == 1 else ""
    layers = [other for other in shapes if _container(stem) and other.startswith(_container(stem))]
    if sum(shapes[other][1] == width for other in layers) > 1:
        sources.notes.append(
            f"{_container(stem)[:-1]} in the file has several linear layers ({first_names(layers)}), the head here is "
            "one: give model.embedding_size=null for the backbone's own features"
        )
        return ""
    if not stem:  # of another size; an ImageNet classifier is none
        others = [stem for stem, (rows, columns) in shapes.items() if columns == width and rows not in IMAGENET_CLASSES]
        stem = next(iter(_nearest([stem for stem in others if _word(stem) in _HEADS], sources.prefix)), "")
    if stem:
        sources.names |= {f"head.{part}": f"{stem}.{part}" for part in ("weight", "bias")}
    return stem


def _add_neck(sources: Sources, free: dict[str, Tensor], head: str, size: int, has_neck: bool) -> None:
    """Adds the batch norm over D values behind the head, or a note that the embedder has none."""
    names = [name for name in free if name.endswith(".running_mean") and free[name].shape == (size,)]
    stems = _nearest([name.removesuffix(".running_mean") for name in names], sources.prefix)
    beside = _container(head)
    named = [stem for stem in stems if _word(stem) in _NECKS or (beside and stem.startswith(beside))]
    if not has_neck and named:
        sources.notes.append(f"the file has a batch norm behind its head ({named[0]}): give model.bn_neck=true")
    stem = named[0] if named else stems[0] if len(stems) == 1 else ""
    if has_neck and stem:
        sources.names |= {f"neck.{part}": f"{stem}.{part}" for part in _NECK_PARTS}


def _linear_layers(free: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Name without `.weight` -> (D, W)."""
    names = [name for name in free if name.endswith(".weight") and is_linear(free[name])]
    return {name.removesuffix(".weight"): tuple(free[name].shape[:2]) for name in names}


def _add_rest(sources: Sources, free: dict[str, Tensor], embedder: Embedder) -> None:
    """Adds a note of layers that have no place in the embedder: with them the file's network is another one.

    Weights of classes come after the embedding and have none either; without a head, nor have linear layers.
    """
    used = set(sources.names.values())
    width = embedder.head_width
    linear = {stem: shape for stem, shape in _linear_layers(free).items() if f"{stem}.weight" not in used}
    behind = {stem for stem, shape in linear.items() if shape[1] in (embedder.embedding_size, width)}
    if embedder.headless:
        heads = [stem for stem in behind if linear[stem][1] == width and linear[stem][0] not in IMAGENET_CLASSES]
        sources.left_out += [f"{stem} ({linear[stem][0]} x {width})" for stem in linear if stem in heads]
        behind = {*linear, *(stem for stem in map(_layer, free) if free.get(f"{stem}.running_mean") is not None)}
    elif not {"head.weight"} & sources.names.keys():
        behind -= {stem for stem in behind if linear[stem][1] == width and linear[stem][0] not in IMAGENET_CLASSES}
    stems = [_layer(name) for name, tensor in free.items() if name not in used and _is_layer(name, tensor)]
    rest = list(dict.fromkeys(stem for stem in stems if stem and stem not in behind))
    if len(rest) == 1 and rest[0] in linear and linear[rest[0]][1] == width and not sources.notes:
        rows = linear[rest[0]][0]
        sources.notes.append(
            f"{rest[0]} in the file ({rows} x {width}) may be its head: give model.embedding_size={rows} if it is, "
            "model.embedding_size=null for the backbone's own features"
        )
    elif rest and not sources.notes:
        sources.notes.append(
            f"the file has layers that have no place here ({first_names(rest)}), so its network is another one than "
            "backbone, one linear layer and batch norm: give model.embedding_size=null for the backbone's own features"
        )


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _is_layer(name: str, tensor: Tensor) -> bool:
    return (name.endswith(".weight") and tensor.ndim > 1) or name.endswith(".running_mean")


def _add_power(sources: Sources, free: dict[str, Tensor]) -> None:
    """Adds the power of GeM pooling, or a note that the embedder pools otherwise."""
    names = [
        name
        for name, tensor in free.items()
        if tensor.numel() == 1 and re.search(r"(^|\.)(p|power)$", name) and re.search(r"pool|gem", name.lower())
    ]
    for name in _nearest(names, sources.prefix)[:1]:
        if sources.powers:
            sources.names[sources.powers[0]] = name
        else:
            sources.notes.append(f"the file pools with GeM ({name}): give model.pooling=gem")


def _nearest(names: list[str], prefix: str) -> list[str]:
    """Those that are no copies first, then those that share most of the backbone's prefix; else in file order."""
    parts = prefix.split(".")

    def distance(name: str) -> tuple[bool, int]:
        shared = 0
        for part, other in zip(parts, name.split("."), strict=False):
            if part != other:
                break
            shared += 1
        return bool(_COPIES.search(name.removeprefix(prefix))), -shared

    return sorted(names, key=distance)


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """(prefix with its dot, rest) of a dotted name, from no prefix on."""
    for cut in [0, *(place + 1 for place, letter in enumerate(name) if letter == ".")]:
        yield name[:cut], name[cut:]


def _word(stem: str) -> str:
    """`fc` of `net.fc`, of `net.fc.0` and of `net.fc1`."""
    parts = [part for part in stem.split(".") if not part.isdigit()]
    return parts[-1].lower().rstrip("0123456789") if parts else ""


def _container(stem: str) -> str:
    """`net.fc.` of `net.fc.0`, empty for a layer that is no element of a sequence."""
    return re.sub(r"\d+$", "", stem) if re.search(r"\.\d+$", stem) else ""
