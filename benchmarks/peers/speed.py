"""Runs today's usual tools on folders of images and prints one JSON line per job; knows nothing of lookalike.

speed.py JOB key=value ...    one job, one JSON line as the last of stdout; everything else goes to stderr
speed.py serve                one JSON object per line from stdin, {"job": JOB, key: value, ...}, one JSON line each

train_torchvision_pml   torchvision + pytorch-metric-learning, a plain loop; runs in our own environment
embed_torch_pillow      timm in eager float32 over Pillow images; either environment
train_oml, embed_oml    open-metric-learning; its environment is in requirements-speed.txt beside this file

Every model has random weights: speed does not depend on them. Models, optimisers and loaders are kept between jobs of
the same arguments. `seconds` is the whole job without imports; in it, `build_seconds` made the model and the loaders
(0 when they were kept). Embedding jobs build outside the clock. `peak_mib` is the highest resident memory of this
process within the job, workers of a loader not counted. A job that fails answers with `error`.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

Answer = dict[str, Any]
EMBEDDING = 128
MARGIN_DEGREES = 28.6
SCALE = 64
LEARNING_RATE = 1e-3
EVALUATION_BATCH = 32  # the default of pytorch-metric-learning's testers
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Training:
    """Arguments of a training job.

    Attributes:
        root: Folder with a sub-folder per class.
        labels: Labels of the loss.
        epochs: Passes over the images.
        batch: Images of a batch.
        size: Side of the square images.
        workers: Processes that load images.
        threads: Threads of torch.
        validation: Folder of the queries, ranked against `root` after each epoch; empty for none.
    """

    root: str
    labels: int
    epochs: int = 1
    batch: int = 8
    size: int = 224
    workers: int = 1
    threads: int = 2
    validation: str = ""


@dataclasses.dataclass(frozen=True)
class Embedding:
    """Arguments of an embedding job.

    Attributes:
        files: Text file with one path per line.
        model: The name in timm.
        batch: Images of a batch.
        size: Side of the square images.
        threads: Threads of torch.
    """

    files: str
    model: str
    batch: int = 16
    size: int = 224
    threads: int = 2

    def paths(self) -> list[str]:
        """The paths in `files`."""
        return [line for line in Path(self.files).read_text().splitlines() if line]


@dataclasses.dataclass(frozen=True)
class OmlEmbedding(Embedding):
    """Arguments of OML's embedding job.

    Attributes:
        workers: Processes that load images.
        transform: OML's name: norm_resize_torch (Pillow, torchvision) or norm_resize_albu (OpenCV, albumentations).
    """

    workers: int = 0
    transform: str = "norm_resize_torch"


class Parts(NamedTuple):
    """What is kept between training jobs of the same arguments."""

    net: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    train: DataLoader[Any]
    validation: list[DataLoader[Any]]  # torchvision: references, queries; OML: both in one
    metric: Any


class Times(NamedTuple):
    """Seconds of each epoch's training and of each validation."""

    training: list[float]
    validation: list[float]


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What `work` returns and its seconds.

    Args:
        work: The call to measure.
        *arguments: What it is called with.
    """
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


def train(settings: Training, build: Callable[[Training], Parts], fit: Callable[..., Answer]) -> Answer:
    """Builds, or finds what an equal job built, and trains.

    Args:
        settings: The job's arguments.
        build: Makes the parts.
        fit: Called with the parts, the settings and the `Times` to fill; returns `how` and `values`.
    """
    torch.set_num_threads(settings.threads)
    parts, building = timed(build, settings)
    times = Times([], [])
    figures, fitting = timed(fit, parts, settings, times)
    return {
        "seconds": building + fitting,
        "build_seconds": building,
        "epoch_seconds": times.training,
        "validation_seconds": times.validation,
        "images": len(parts.train) * settings.batch,
        **figures,
    }


def _free_tail(net: nn.Module) -> list[nn.Parameter]:
    """Puts a new `fc` on torchvision's ResNet18; what it returns, `layer4` and `fc`, alone keeps its gradients."""
    net.requires_grad_(False)
    net.fc = nn.Linear(512, EMBEDDING)
    return [*net.layer4.requires_grad_(True).parameters(), *net.fc.parameters()]


def _numbers(names: list[str], labels: int, learnt: dict[str, int] | None = None) -> dict[str, int]:
    """Labels of class names: those of the references, and for names that they lack numbers that no reference has."""
    if learnt is None and len(names) > labels:
        raise ValueError(f"expected at most labels={labels} class folders, got {len(names)}: raise labels")
    return {name: i if learnt is None else learnt.get(name, labels + i) for i, name in enumerate(names)}


@lru_cache(maxsize=2)
def _pml_parts(settings: Training) -> Parts:
    from pytorch_metric_learning.losses import ArcFaceLoss
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [transforms.Resize((settings.size,) * 2), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = ImageFolder(settings.root, transforms.Compose(steps))
    learnt, loaders = _numbers(images.classes, settings.labels), []
    if settings.validation:
        queries = ImageFolder(settings.validation, images.transform)
        # Each ImageFolder numbers its own classes.
        queries.target_transform = list(_numbers(queries.classes, settings.labels, learnt).values()).__getitem__
        loaders = [DataLoader(each, EVALUATION_BATCH, num_workers=settings.workers) for each in (images, queries)]
    net = torchvision.models.resnet18(weights=None)
    trained = _free_tail(net)
    loss = ArcFaceLoss(settings.labels, EMBEDDING, margin=MARGIN_DEGREES, scale=SCALE)
    optimizer = torch.optim.AdamW([*trained, *loss.parameters()], lr=LEARNING_RATE)
    loader = DataLoader(images, settings.batch, shuffle=True, drop_last=True, num_workers=settings.workers)
    include = ("precision_at_1", "mean_average_precision_at_r")
    metric = AccuracyCalculator(include=include, k="max_bin_count", device=torch.device("cpu"))
    return Parts(net, loss, optimizer, loader, loaders, metric)


def _pml_epoch(parts: Parts) -> None:
    parts.net.train()
    for images, labels in parts.train:
        parts.optimizer.zero_grad()
        parts.loss(parts.net(images), labels).backward()
        parts.optimizer.step()


@torch.no_grad()
def _pml_validation(parts: Parts) -> dict[str, float]:
    parts.net.eval()
    sets = []
    for loader in parts.validation:
        pairs = [(parts.net(images), labels) for images, labels in loader]
        sets.append([torch.cat(column) for column in zip(*pairs, strict=True)])
    references, queries = sets
    return parts.metric.get_accuracy(*queries, *references)


def _pml_fit(parts: Parts, settings: Training, times: Times) -> Answer:
    values: dict[str, float] = {}
    for _ in range(settings.epochs):
        times.training.append(timed(_pml_epoch, parts)[1])
        if settings.validation:
            values, seconds = timed(_pml_validation, parts)
            times.validation.append(seconds)
    return {"how": "plain loop", "values": values}


def train_torchvision_pml(settings: Training) -> Answer:
    """ResNet18 of torchvision with `layer4` and `fc` free, ArcFace of pytorch-metric-learning, AdamW, a plain loop.

    Args:
        settings: The job's arguments.
    """
    return train(settings, _pml_parts, _pml_fit)


class Timm(nn.Module):
    """A timm backbone without its head, a linear layer of 128, unit length."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = timm.create_model(name, pretrained=False, num_classes=0)
        self.head = nn.Linear(self.backbone.num_features, EMBEDDING)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Unit vectors [B, 128] of float32 images [B, 3, H, W] that are normalised already.

        Args:
            images: The batch.
        """
        return nn.functional.normalize(self.head(self.backbone(images)))


@lru_cache(maxsize=2)
def _timm_model(name: str) -> Timm:
    return Timm(name).eval()


def _pillow(file: str, size: int) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def embed_torch_pillow(settings: Embedding) -> Answer:
    """Torch in eager float32 over images that Pillow reads in this process.

    Args:
        settings: The job's arguments.
    """
    torch.set_num_threads(settings.threads)
    net, paths = _timm_model(settings.model), settings.paths()
    mean, std = (torch.tensor(net.backbone.pretrained_cfg[name]).view(3, 1, 1) for name in ("mean", "std"))

    def embed(some: list[str]) -> torch.Tensor:
        images = torch.from_numpy(np.stack([_pillow(file, settings.size) for file in some])).permute(0, 3, 1, 2)
        return net((images.float() / 255 - mean) / std)

    def work() -> torch.Tensor:
        starts = range(0, len(paths), settings.batch)
        with torch.inference_mode():
            return torch.cat([embed(paths[start : start + settings.batch]) for start in starts])

    vectors, seconds = timed(work)
    return {"seconds": seconds, "images": len(vectors), "how": "torch eager, Pillow"}


def _oml_resnet18(normalise: bool) -> tuple[Any, list[nn.Parameter]]:
    from oml.models import ResnetExtractor

    extractor = ResnetExtractor(None, "resnet18", gem_p=None, remove_fc=False, normalise_features=normalise)
    return extractor, _free_tail(extractor.model)


@lru_cache(maxsize=2)
def _oml_model(name: str) -> nn.Module:
    """OML's extractor where it has one, else timm's model: `inference` takes any module."""
    return _oml_resnet18(normalise=True)[0] if name == "resnet18" else Timm(name)


def embed_oml(settings: OmlEmbedding) -> Answer:
    """OML's `inference` over its `ImageBaseDataset`.

    Args:
        settings: The job's arguments.
    """
    from oml.datasets import ImageBaseDataset
    from oml.inference import inference
    from oml.registry.transforms import get_transforms

    torch.set_num_threads(settings.threads)
    net = _oml_model(settings.model)
    images = ImageBaseDataset(settings.paths(), transform=get_transforms(settings.transform, im_size=settings.size))
    vectors, seconds = timed(inference, net, images, settings.batch, settings.workers)
    return {"seconds": seconds, "images": len(vectors), "how": f"oml.inference.inference, {settings.transform}"}


def _class_names(root: str) -> list[str]:
    return sorted(folder.name for folder in Path(root).iterdir() if folder.is_dir())


def _oml_table(root: str, numbers: dict[str, int], query: bool) -> Any:
    """The images of one folder in OML's table format, all queries or all gallery."""
    import pandas as pd

    endings = torchvision.datasets.folder.IMG_EXTENSIONS
    files = sorted(file for file in Path(root).glob("*/*") if file.suffix.lower() in endings)
    rows = [(numbers[file.parent.name], str(file), query, not query) for file in files]
    return pd.DataFrame(rows, columns=["label", "path", "is_query", "is_gallery"])


def _oml_validation(gallery: Any, numbers: dict[str, int], settings: Training, transform: Any) -> tuple[Any, Any]:
    """The loader of gallery and queries, and OML's metric over them."""
    import pandas as pd
    from oml.datasets import ImageQueryGalleryLabeledDataset
    from oml.metrics import EmbeddingMetrics

    learnt = _numbers(_class_names(settings.validation), settings.labels, numbers)
    table = pd.concat([gallery, _oml_table(settings.validation, learnt, True)], ignore_index=True)
    images = ImageQueryGalleryLabeledDataset(table, transform=transform)
    depth = int(gallery["label"].value_counts().max())
    # The nearest to precision_at_1 and mean_average_precision_at_r; what the other side does not compute is off.
    none: dict[str, Any] = {"precision_top_k": (), "pcf_variance": (), "verbose": False}
    metric = EmbeddingMetrics(images, cmc_top_k=(1,), map_top_k=(depth,), **none)
    return DataLoader(images, EVALUATION_BATCH, num_workers=settings.workers), metric


@lru_cache(maxsize=2)
def _oml_parts(settings: Training) -> Parts:
    from oml.datasets import ImageLabeledDataset
    from oml.losses import ArcFaceLoss
    from oml.registry.transforms import get_transforms

    transform = get_transforms("norm_resize_torch", im_size=settings.size)
    numbers = _numbers(_class_names(settings.root), settings.labels)
    table, loaders, metric = _oml_table(settings.root, numbers, False), [], None
    if settings.validation:
        validation, metric = _oml_validation(table, numbers, settings, transform)
        loaders = [validation]
    net, trained = _oml_resnet18(normalise=False)
    margin = float(np.radians(MARGIN_DEGREES))
    loss = ArcFaceLoss(in_features=EMBEDDING, num_classes=settings.labels, m=margin, s=SCALE)
    optimizer = torch.optim.AdamW([*trained, *loss.parameters()], lr=LEARNING_RATE)
    images = ImageLabeledDataset(table, transform=transform)
    loader = DataLoader(images, settings.batch, shuffle=True, drop_last=True, num_workers=settings.workers)
    return Parts(net, loss, optimizer, loader, loaders, metric)


def _clock(times: Times) -> Any:
    """A Lightning callback that fills `times`; Lightning validates before it calls an epoch of training ended."""
    import pytorch_lightning as pl

    class Clock(pl.Callback):
        start, training = 0.0, True

        def _note(self, into: list[float]) -> None:
            now = time.perf_counter()
            into.append(now - self.start)
            self.start = now

        def on_train_epoch_start(self, *_: Any) -> None:
            self.start, self.training = time.perf_counter(), True

        def on_validation_start(self, *_: Any) -> None:
            self._note(times.training)
            self.training = False

        def on_validation_end(self, *_: Any) -> None:
            self._note(times.validation)

        def on_train_epoch_end(self, *_: Any) -> None:
            if self.training:
                self._note(times.training)

    return Clock()


def _oml_fit(parts: Parts, settings: Training, times: Times) -> Answer:
    import pytorch_lightning as pl
    from oml.lightning import ExtractorModule, MetricValCallback

    callbacks = [_clock(times), *([MetricValCallback(parts.metric)] if settings.validation else [])]
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = pl.Trainer(
        max_epochs=settings.epochs,
        accelerator="cpu",
        callbacks=callbacks,
        num_sanity_val_steps=0,
        **dict.fromkeys(silent, False),
    )
    module = ExtractorModule(parts.net, parts.loss, parts.optimizer)
    trainer.fit(module, parts.train, parts.validation or None)
    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return {"how": f"oml ExtractorModule, pytorch-lightning {pl.__version__}", "values": values}


def train_oml(settings: Training) -> Answer:
    """OML's ResNet18 with `layer4` and `fc` free, its ArcFace and its Lightning module, AdamW.

    Args:
        settings: The job's arguments.
    """
    return train(settings, _oml_parts, _oml_fit)


class Job(NamedTuple):
    """Arguments, work, and what it imports beyond the top of this file: imports are outside its clock."""

    settings: type
    work: Callable[[Any], Answer]
    modules: tuple[str, ...] = ()


PML = ("pytorch_metric_learning.losses", "pytorch_metric_learning.utils.accuracy_calculator", "faiss")
OML = ("oml.datasets", "oml.inference", "oml.losses", "oml.metrics", "oml.models", "oml.registry.transforms", "pandas")
JOBS = {
    "train_torchvision_pml": Job(Training, train_torchvision_pml, PML),
    "embed_torch_pillow": Job(Embedding, embed_torch_pillow),
    "embed_oml": Job(OmlEmbedding, embed_oml, OML),
    "train_oml": Job(Training, train_oml, (*OML, "oml.lightning", "pytorch_lightning")),
}


def read_settings(kind: type, given: dict[str, Any]) -> Any:
    """The arguments of a job in their own types.

    Args:
        kind: The class of its arguments.
        given: Values as typed or as JSON gave them.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(given) - set(fields))
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in given]
    if unknown or missing:
        raise ValueError(f"expected arguments of {', '.join(fields)}; unknown: {unknown}, missing: {missing}")
    return kind(**{name: fields[name].type(value) for name, value in given.items()})


def _peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def answer(name: str, given: dict[str, Any]) -> Answer:
    """Runs one job; a failure is an answer too.

    Args:
        name: A name in `JOBS`.
        given: Its arguments.
    """
    try:
        if name not in JOBS:
            raise ValueError(f"expected a job of {', '.join(JOBS)}, got {name!r}")
        job = JOBS[name]
        settings = read_settings(job.settings, given)
        for module in job.modules:
            importlib.import_module(module)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # brings the high-water mark down to what is resident now
        return {"job": name, **job.work(settings), "peak_mib": _peak_mib()}
    except Exception as error:
        traceback.print_exc()
        return {"job": name, "error": f"{type(error).__name__}: {error}"}


def main(words: list[str]) -> int:
    """Runs what the command line asks for and returns the exit status.

    Args:
        words: `serve`, or a job and its arguments.
    """
    warnings.simplefilter("ignore")
    # Libraries and their worker processes print too: only answers may reach the stdout that we were given.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if words == ["serve"]:
        for line in sys.stdin:
            given = json.loads(line)
            print(json.dumps(answer(given.pop("job", ""), given)), file=answers, flush=True)
        return 0
    if not words or any("=" not in word for word in words[1:]):
        print(__doc__, file=sys.stderr)
        return 2
    result = answer(words[0], dict(word.split("=", 1) for word in words[1:]))
    print(json.dumps(result), file=answers, flush=True)
    return 1 if "error" in result else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
