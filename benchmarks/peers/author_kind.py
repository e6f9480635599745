"""What a kind of checkpoint of benchmarks/peers/authors.py is made of, and ways of saving that projects share."""

import contextlib
import importlib.util
import io
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
IDENTITIES = 751  # of Market-1501
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def beside(name: str) -> types.ModuleType:
    """A module of tests/authors, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "authors" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@dataclass
class Kind:
    """One kind of checkpoint.

    Attributes:
        project: Whose code makes it.
        package: Whose version is told; a commit for a replica.
        build: Makes the network.
        run: What the project's test makes of normalised images [B, 3, H, W].
        read: Reads a file as the project does, to normalised [3, H, W].
        save: Writes the checkpoint; returns its path.
        size: Height and width of the images.
        replica: Whether it is built after the project instead of by it.
        golden: Whether names, shapes and a fixed embedding are kept for the tests.
        settings: What no name and shape tells.
    """

    project: str
    package: str
    build: Callable[[], nn.Module]
    run: Callable[[nn.Module, Tensor], Tensor]
    read: Callable[[str], Tensor]
    save: Callable[[nn.Module, Path], Path]
    size: tuple[int, int] = (256, 128)
    replica: bool = False
    golden: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor lines of progress inside the block."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def lived(network: nn.Module, run: Callable[[nn.Module, Tensor], Tensor], images: Tensor) -> nn.Module:
    """Norms with weights and statistics as after training: those of real images, of which no two are alike."""
    torch.manual_seed(3)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.LayerNorm)
    for part in network.modules():
        if isinstance(part, norms) and part.weight is not None:
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
    for name, parameter in network.named_parameters():
        if name.rpartition(".")[2] in ("sie_embed", "cv_embed", "cls_token", "pos_embed"):
            nn.init.normal_(parameter, std=0.3)
    network.eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.train()
            part.momentum = 0.6
    with torch.no_grad():
        for _ in range(3):
            run(network, images.clone())
    return network.eval()


def state_dict(network: nn.Module, folder: Path) -> Path:
    """As most scripts do: torch.save(model.state_dict())."""
    torch.save(network.state_dict(), folder / "model.pth")
    return folder / "model.pth"


def by_torchvision(size: tuple[int, int], bicubic: bool, normalised: Any = IMAGENET) -> Callable[[str], Tensor]:
    """Resize of a picture, ToTensor, Normalize."""
    from torchvision import transforms

    mode = transforms.InterpolationMode.BICUBIC if bicubic else transforms.InterpolationMode.BILINEAR
    steps = transforms.Compose(
        [transforms.Resize(size, interpolation=mode), transforms.ToTensor(), transforms.Normalize(*normalised)]
    )
    return lambda file: steps(Image.open(file).convert("RGB"))


def legacy(network: nn.Module, folder: Path) -> Path:
    """The format of torch before 1.6."""
    torch.save({"state_dict": network.state_dict()}, folder / "model.pth", _use_new_zipfile_serialization=False)
    return folder / "model.pth"


def safetensors(network: nn.Module, folder: Path) -> Path:
    """safetensors, as hubs have them."""
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


def lightning(network: nn.Module, folder: Path) -> Path:
    """A checkpoint of Lightning's Trainer, whose module keeps the network as `net`."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network
            self.save_hyperparameters({"lr": 3e-4, "classes": IDENTITIES})

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 3e-4)

        def training_step(self, *_: object) -> None:
            return None

    with quiet():
        trainer = lightning.Trainer(
            accelerator="cpu", logger=False, max_epochs=0, enable_progress_bar=False, enable_model_summary=False
        )
        trainer.strategy.connect(Module())
        trainer.save_checkpoint(folder / "epoch_120.ckpt")
    return folder / "epoch_120.ckpt"
