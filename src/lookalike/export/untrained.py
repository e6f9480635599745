"""A network with its first weights as an encoder: for data that no bundle knows yet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lookalike.data.pixels import PixelSettings
from lookalike.errors import LookalikeError, did_you_mean
from lookalike.inference.encoder import Encoder
from lookalike.models.weight_packages import packaged_version
from lookalike.settings.check import check, flat
from lookalike.settings.compose import compose, config_folder, config_groups
from lookalike.settings.verbs import EmbedCommand

USUAL = "efficientnet_lite0"  # the smallest and quickest of those whose weights come with a package


def recipe(
    name: str = USUAL, model: Mapping[str, Any] | None = None, pixels: Mapping[str, Any] | None = None
) -> EmbedCommand:
    """What a recipe says of a network before training, as `lookalike embed model=<name>` reads it; needs no torch.

    Args:
        name: A file under `configs/model`.
        model: Settings of it that are to be others.
        pixels: As `model`, of how images are read.

    Raises:
        LookalikeError: There is no such recipe, or a setting is unknown or out of range.
    """
    names = config_groups("embed", config_folder())["model"]
    if name not in names:
        raise LookalikeError(
            f"Model.pretrained({name!r}): expected one of {', '.join(names)}{did_you_mean(str(name), names)}; any "
            "other backbone of timm is Model.pretrained('timm', model={'backbone': ...})"
        )
    changes = dict[str, Any]()
    for group, values in {"model": model or {}, "pixels": pixels or {}}.items():
        if not isinstance(values, Mapping):
            raise LookalikeError(f"Model.pretrained: {group}={values!r}: expected settings by name, as a dictionary")
        changes |= flat(dict(values), f"{group}.")
    return check(EmbedCommand, compose("embed", [("model", name), *changes.items()]))


def identity() -> str:
    """Tells the usual network's weights and pixel settings apart from others; needs no torch.

    Raises:
        ModuleNotFoundError: The package with the weights is not installed.
    """
    usual = recipe()
    model, pixels = usual.model, usual.pixels
    assert model is not None
    assert pixels is not None
    return f"{model.backbone} {packaged_version(model.backbone)} {pixels.height} {pixels.resize}"


def untrained_encoder(
    folder: Path, settings: EmbedCommand | None = None, device: Literal["cpu", "cuda"] = "cpu"
) -> Encoder:
    """Makes the encoder, which needs torch; its graph stays in `folder` while it is used.

    Args:
        folder: Where the graph is written.
        settings: Of `recipe`; None for the usual one.
        device: `cuda` runs it in torch.

    Raises:
        LookalikeError: The weights cannot be had or are of another backbone, or the network does not run at this size.
    """
    from lookalike.export.network_encoder import encoder_of
    from lookalike.models.backbone import own_size
    from lookalike.models.embedder import Embedder
    from lookalike.models.pretrained import load_pretrained
    from lookalike.recognition.first_weights import first_weights

    chosen = settings or recipe()
    network = chosen.model
    assert network is not None
    size = (chosen.pixels.height, chosen.pixels.width) if chosen.pixels else None
    embedder = Embedder(network.backbone, None, network.pooling, False, ["all"], network.mean, network.std, size)
    load_pretrained(embedder.backbone, network.backbone, network.weights, to_train=False, read=first_weights)
    own = dict(zip(("height", "width"), own_size(embedder.backbone), strict=True))
    pixels = PixelSettings.of(chosen.pixels.model_dump() if chosen.pixels else own)
    return encoder_of(embedder, pixels, folder, device)
