"""Names of a network whose parts were put into a sequence: numbered, or the first of them in a `layer0` or `stem`."""

from collections.abc import Iterable, Mapping

from lookalike.recognition.renaming.renamed import Renaming, Shape

# Of timm's ResNets, and of torchvision's, whose `relu` has no tensor.
_RESNET = ("conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4")
_FIRST = 4


def numbered(children: Iterable[str], anchor: str) -> Renaming:
    """Of `nn.Sequential(*network.children())`.

    Args:
        children: Names of the parts, in their order.
        anchor: A name that the network has, as timm has it.
    """
    places = {child: str(number) for number, child in enumerate(children)}
    first, _, rest = anchor.partition(".")
    rules = tuple((rf"{number}\.(.+)", rf"{child}.\1") for child, number in places.items())
    return Renaming("nn.Sequential", f"{places[first]}.{rest}", rules)


def of_children(children: Iterable[str], shapes: Mapping[str, Shape]) -> tuple[Renaming, ...]:
    """Of a network that a person names; none where it has tensors beside its parts.

    Args:
        children: Names of its parts, in their order.
        shapes: Of all its tensors.
    """
    parts = list(children)
    if not shapes or not all(name.partition(".")[0] in parts for name in shapes):
        return ()
    return (numbered(parts, next(iter(shapes))),)


_STEMS = tuple(
    Renaming(
        "nn.Sequential",
        f"{stem}.1.weight",  # of the batch norm
        (
            *((rf"{stem}\.{place}\.(.+)", rf"{part}.\1") for place, part in enumerate(_RESNET[:_FIRST])),
            (r"(layer[1-4]\..+)", r"\1"),
        ),
    )
    for stem in ("layer0", "stem")
)
RENAMINGS = (numbered(_RESNET, "layer1.0.conv1.weight"), *_STEMS)
