"""The bundled backbone as an encoder: ImageNet features of efficientnet_lite0, for data that no bundle knows yet."""

from pathlib import Path

from lookalike.data.pixels import PixelSettings
from lookalike.inference.encoder import Encoder
from lookalike.models.weight_packages import packaged_version

_BACKBONE = "tf_efficientnet_lite0"
_PIXELS = PixelSettings(224, 224, "stretch")
_HALF = [0.5, 0.5, 0.5]  # the package's mean and standard deviation


def identity() -> str:
    """Tells its weights and pixel settings apart from others; needs no torch.

    Raises:
        ModuleNotFoundError: The package with the weights is not installed.
    """
    return f"{_BACKBONE} {packaged_version(_BACKBONE)} 224 stretch"


def untrained_encoder(folder: Path) -> Encoder:
    """Makes the encoder, which needs torch; its graph stays in `folder` while it is used.

    Args:
        folder: Where the graph is written.
    """
    from lookalike.export.network_encoder import encoder_of
    from lookalike.models.embedder import Embedder
    from lookalike.models.pretrained import load_pretrained

    embedder = Embedder(_BACKBONE, None, "avg", False, ["all"], _HALF, _HALF)
    load_pretrained(embedder.backbone, _BACKBONE, "package")
    return encoder_of(embedder, _PIXELS, folder, "cpu")
