"""The settings of a training run: data, pixels, copies, on-line changes, model, loss, trainer, loggers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from lookalike.errors import did_you_mean
from lookalike.settings.data import Data
from lookalike.settings.losses import Loss
from lookalike.settings.paths import PathError, PathText, address_at_home, text_of_path
from lookalike.settings.split_names import split_named
from lookalike.settings.types import Count, Positive, Seed, Settings, Share, Side, Spread, Unit


class Pixels(Settings):
    """How an image becomes model input."""

    height: Side = Field(description="pixels")
    width: Side = Field(description="pixels")
    resize: Literal["stretch", "crop", "pad"] = Field(description="what happens to the aspect ratio")
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] | None = Field(
        description="null = area, or that of the project which a checkpoint of another project is known to be of"
    )
    antialias: bool | None = Field(
        description="of bilinear, bicubic and lanczos: true as Pillow and torchvision do, false as OpenCV and "
        "Albumentations; null = true"
    )

    @field_validator("antialias")
    @classmethod
    def _of_a_kernel(cls, antialias: bool | None, info: ValidationInfo) -> bool | None:
        if antialias is False and info.data.get("interpolation", "bilinear") in (None, "area"):
            raise PydanticCustomError(
                "antialias", "area averaging always is: give pixels.interpolation=bilinear, bicubic or lanczos, too"
            )
        return antialias


class Augment(Settings):
    """Off-line augmented copies of the training images."""

    per_class: Count | None = Field(description="images each class shall have, copies included; null = no copies")
    output: PathText | None = Field(
        description="folder of the copies; null = data/albumentation, or data/albumentation-<name> for data elsewhere"
    )
    seed: Seed = Field(description="same seed, same copies")
    strength: Annotated[float, Field(gt=0, le=2)] = Field(description="1 = the recipe's ranges")
    max_side: Side = Field(description="pixels; larger copies are scaled down")
    threads: Count | None = Field(description="null = one per core")


class Online(Settings):
    """Random changes of the images while training."""

    flip: bool = Field(description="mirror half of the images")
    crop_area: Annotated[float, Field(gt=0, le=1)] = Field(description="smallest share of the area kept; 1 = no crop")
    color: Annotated[float, Field(ge=0, le=1)] = Field(
        description="change of brightness, contrast and saturation; 0 = none"
    )
    erase: Unit = Field(description="share of the images of which a random rectangle is blanked")
    relative_size: Annotated[float, Field(gt=0, le=4)] | None = Field(
        description="height and width of training images, as a share of those of pixels; null = the same"
    )
    views: Count | None = Field(
        description="random versions of each image, one epoch after the other showing the next; a frozen trunk runs "
        "once for each; null = new ones in every epoch"
    )


Backbone = Annotated[str, Field(description="a timm model name")]
Weights = Annotated[PathText, Field(description="auto (timm's hub), package, none, or a file")]
Pooling = Annotated[Literal["avg", "gem"], Field(description="gem needs a convolutional backbone")]
ChannelMeans = Annotated[
    Annotated[list[Unit], Field(min_length=3, max_length=3)] | None,
    Field(description="three values in 0..1; null = timm's"),
]
ChannelSpreads = Annotated[
    Annotated[list[Spread], Field(min_length=3, max_length=3)] | None,
    Field(description="three values in 0..1, none of them 0; null = timm's"),
]


class Model(Settings):
    """Backbone, head, and what of them is trained."""

    backbone: Backbone
    weights: Weights
    embedding_size: Annotated[int, Field(ge=1, le=8192)] | None = Field(
        description="dimensions; null = the backbone's own features"
    )
    pooling: Pooling
    bn_neck: bool = Field(description="batch norm behind the head")
    frozen_batch_norm: bool = Field(
        description="trained stages keep the running statistics of the first weights in their batch norms"
    )
    trainable: Annotated[list[str], Field(min_length=1)] = Field(description="backbone stages and head, or all")
    mean: ChannelMeans
    std: ChannelSpreads


_LOGGERS = {"csv": ["folder"], "mlflow": ["uri", "experiment"], "tensorboard": ["folder"], "wandb": ["project"]}


def _located(text: str, option: str) -> str:
    """What a tracker is told, with its places as paths are written."""
    kind = option.rpartition(".")[2]
    if kind == "uri":
        return address_at_home(text, option)
    return text_of_path(text, option) if kind == "folder" else text


def _whole_loggers(chosen: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    problems = [unknown_setting(f"logger.{name}", list(_LOGGERS)) for name in chosen if name not in _LOGGERS]
    for name, needed in _LOGGERS.items():
        given = chosen.get(name, needed)
        problems += [unknown_setting(f"logger.{name}.{option}", needed) for option in given if option not in needed]
        problems += [needed_setting(f"logger.{name}.{option}") for option in needed if option not in given]
    if problems:
        raise PydanticCustomError("logger", "{problems}", {"problems": "; ".join(problems)})
    try:
        return {
            name: {option: _located(text, f"{name}.{option}") for option, text in options.items()}
            for name, options in chosen.items()
        }
    except PathError as error:
        raise PydanticCustomError("logger", "logger: {problems}", {"problems": str(error)}) from error


Logger = Annotated[dict[str, dict[str, str]], AfterValidator(_whole_loggers)]


class Trainer(Settings):
    """How long and how fast."""

    max_epochs: Count
    passes: Count | None = Field(
        description="times that an epoch goes through the images, each with its own random version; null = once. "
        "Validation comes once an epoch"
    )
    batches: Literal["auto", "shuffled", "labels"] = Field(
        description="labels = P labels x K images; auto = labels for the pair losses, else shuffled"
    )
    batch_size: Annotated[int, Field(ge=2)] = Field(description="images per step of shuffled batches")
    labels_per_batch: Annotated[int, Field(ge=2)] = Field(description="P")
    images_per_label: Annotated[int, Field(ge=2)] = Field(description="K")
    learning_rate: Positive = Field(description="peak, of the backbone")
    head_learning_rate: Positive = Field(description="peak, of the linear layer and the neck, which start at random")
    loss_learning_rate: Positive = Field(description="peak, of the class weights inside the loss")
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="not for the class weights")
    warmup_share: Share = Field(description="share of the steps until the peak")
    averaged_share: Share | None = Field(
        description="share of the steps, the last ones, whose weights are averaged: the averages are validated and "
        "kept, and the learning rates stay at their peaks; null = no averages, and rates that fall by a cosine"
    )
    patience: Count = Field(description="epochs without a better validation score before stopping")
    precision: Literal["auto", "32-true", "bf16-mixed", "bf16-products"] = Field(
        description="auto = the quickest of the others that keeps the loss, measured once per machine and model; "
        "products = small convolutions as matrix products; the loss is float32 in all"
    )
    compiled: bool = Field(
        description="trained depthwise convolutions run on a processor by code of our own, with the activations around "
        "them; off = torch's"
    )
    trunk_cache: bool = Field(description="keep what a frozen trunk makes of unchanging images on disk; off = never")
    trunk_cache_gib: Positive = Field(description="GiB that all such caches may take; a larger one is not made")
    device: Literal["auto", "cpu", "cuda"]
    devices: Count = Field(
        description="GPUs of this machine, or processes on its processor, that share each batch; the same weights up "
        "to rounding as with one"
    )
    nodes: Count = Field(description="machines with so many devices each; needs a launcher such as torchrun or srun")
    threads: Count | None = Field(description="of torch, in each process; null = one per core, shared by the devices")
    workers: Annotated[int, Field(ge=0)] | None = Field(
        description="loading processes of each device; null = by the cores"
    )
    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(
        description="at most this much work is lost; 0 = each step"
    )


def _splits_of_gallery(value: object) -> list[str]:
    """Our names of the splits, in the order of `SPLITS`; one name stands for a list of it."""
    listed = value if isinstance(value, list) else [value]
    splits = {split_named(name) or name if isinstance(name, str) else None for name in listed}
    if splits == {"train"}:
        return ["train"]
    if splits == {"train", "validation"}:
        return ["train", "validation"]
    raise PydanticCustomError(
        "whole_line",
        "gallery.include=[{given}]: expected [train] or [train,validation] (also val, valid)",
        {"given": ",".join(map(str, listed))[:200]},
    )


class Gallery(Settings):
    """The images that a bundle takes along."""

    include: Annotated[list[str], BeforeValidator(_splits_of_gallery)] = Field(
        description="splits whose images the bundle knows: [train], or [train,validation], where those of validation "
        "join after everything was measured without them"
    )

    @property
    def validation(self) -> bool:
        """Whether the images of validation join."""
        return "validation" in self.include


class Quality(Settings):
    """A preset, and what it reached where it was measured."""

    name: str = Field(description="of the preset; it chooses a recipe of model, see configs/quality")
    accuracy: Unit | None = Field(
        description="accuracy@1 on validation photographs of other shops, where it was measured; null = not measured"
    )
    low: Unit | None = Field(description="of its 95 % interval")
    high: Unit | None = Field(description="of its 95 % interval")
    images: Count | None = Field(description="training images of that measurement")
    minutes: Positive | None = Field(description="that it took, export included")
    machine: str | None = Field(description="on which")

    @model_validator(mode="after")
    def _measured_or_not(self) -> "Quality":
        figures = {name: value for name, value in self.model_dump().items() if name != "name"}
        missing = [name for name, value in figures.items() if value is None]
        if missing and len(missing) < len(figures):
            raise PydanticCustomError(
                "whole_line",
                "quality.{name}: has no value, and other figures of the preset have one: give all of {all}, or none",
                {"name": missing[0], "all": ", ".join(figures)},
            )
        return self


class Train(Settings):
    """Settings of `lookalike train`."""

    run: Annotated[str, Field(pattern=r"^[^./\\\s][^/\\]*$")] | None = Field(
        description="name of the run, also of its folders; null = made from data, model, preset, loss and seed"
    )
    seed: Seed
    resume: Literal["auto", "never"] = Field(description="never = start over, the old run is kept under a dated name")
    models_dir: PathText
    checkpoint_dir: PathText
    false_accept_rate: Share | None = Field(
        description="share of unknown images that predict may give a name; null = it never says unknown"
    )
    unknown_folds: Annotated[int, Field(ge=0)] = Field(
        description="with false_accept_rate, and no unknown labels in validation: how many other trainings without a "
        "fifth of the labels each show what unknown images look like; 0 = choose by labels that were trained on"
    )
    gallery: Gallery
    logger: Logger
    data: Data
    pixels: Pixels
    augment: Augment
    online: Online
    quality: Quality | None = Field(description="a preset, see groups; null = none: a model or an experiment is chosen")
    model: Model
    loss: Loss
    trainer: Trainer


def unknown_setting(name: str, settings: list[str], meant: list[str] | None = None) -> str:
    """What is said of a setting that does not exist, where there are `settings`; `meant` are those of other groups."""
    hint = f"; did you mean {' or '.join(meant)}?" if meant else did_you_mean(name.rpartition(".")[2], settings)
    return f"{name}: unknown setting{hint}; known here: {', '.join(settings)}"


def needed_setting(name: str) -> str:
    """What is said of a setting without a value."""
    return f"{name}: needs a value: give {name}=..."
