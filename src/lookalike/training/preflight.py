"""What would stop a run late is looked at before its work begins: labels per batch, folders, first weights."""

from dataclasses import replace
from pathlib import Path

from lookalike.data.manifest import Manifest
from lookalike.data.pixels import PixelSettings
from lookalike.files import need_place
from lookalike.models.backbone import need_size
from lookalike.models.embedder import Embedder
from lookalike.models.losses import needs_label_batches
from lookalike.models.pretrained import load_pretrained
from lookalike.recognition.first_weights import first_weights
from lookalike.settings.training import Train
from lookalike.training.plan import TrainError


def batches_by_label(settings: Train) -> bool:
    """Whether a batch is made of so many labels with so many images each."""
    trainer = settings.trainer
    return trainer.batches == "labels" or (trainer.batches == "auto" and needs_label_batches(settings.loss.name))


def check_run(settings: Train, manifest: Manifest) -> None:
    """Sees that the data have labels enough for a batch, and that the folders of the run can be written.

    Args:
        settings: Of the run.
        manifest: Its data; copies need not have been made.

    Raises:
        TrainError: Fewer training labels than a batch takes, or a batch that its devices cannot share.
        LookalikeError: A folder cannot be written.
    """
    _need_equal_parts(settings)
    wanted, there = settings.trainer.labels_per_batch, len(manifest.labels)
    if batches_by_label(settings) and there < wanted:
        raise TrainError(
            f"trainer.labels_per_batch={wanted}, but there are {there} training labels: "
            f"give trainer.labels_per_batch={max(2, there)} or less"
        )
    for folder in (settings.models_dir, settings.checkpoint_dir):
        need_place(Path(folder))


def _need_equal_parts(settings: Train) -> None:
    """Every device takes as many rows of a batch as every other."""
    trainer = settings.trainer
    size, by_label = trainer.devices * trainer.nodes, batches_by_label(settings)
    rows = trainer.labels_per_batch * trainer.images_per_label if by_label else trainer.batch_size
    if rows % size == 0:
        return
    names = "trainer.labels_per_batch x trainer.images_per_label" if by_label else "trainer.batch_size"
    below, above = rows // size * size, (rows // size + 1) * size
    near = f"{below} or {above}" if below else f"{above}"
    raise TrainError(
        f"{names}={rows}: {size} devices cannot share a batch of {rows} rows equally: give a number that {size} "
        f"divides, such as {near}"
    )


def check_first_weights(settings: Train) -> None:
    """Builds the network and fetches its first weights, so that a hub out of reach is told before copies are made.

    Raises:
        ModelError: They are not there, or not of this backbone, or there is no such backbone.
    """
    model = settings.model
    load_pretrained(embedder_of(settings).backbone, model.backbone, model.weights, read=first_weights)


def embedder_of(settings: Train) -> Embedder:
    """The network, which runs at the size of its images and at that of training.

    Raises:
        ModelError: There is no such backbone, or it does not run at one of them.
    """
    model, pixels = settings.model, settings.pixels
    embedder = Embedder(**model.model_dump(exclude={"weights"}), size=(pixels.height, pixels.width))
    if settings.online.relative_size is not None:
        trained = training_pixels(settings)
        size = (trained.height, trained.width)
        need_size(embedder.backbone, model.backbone, size, f"online.relative_size={settings.online.relative_size:g}")
    return embedder


def training_pixels(settings: Train) -> PixelSettings:
    """How training images are read: as all others, or smaller or larger."""
    pixels = PixelSettings.of(settings.pixels.model_dump())
    share = settings.online.relative_size
    if share is None:
        return pixels
    return replace(pixels, height=max(1, round(share * pixels.height)), width=max(1, round(share * pixels.width)))
