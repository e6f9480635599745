"""Every setting of every command: its type, its range, its meaning. Defaults live in `configs/`, not here.

A misspelt or out-of-range setting stops the command before any data is read.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from lookalike.errors import LookalikeError, did_you_mean, listed
from lookalike.loss_settings import Loss
from lookalike.search_space import Objective, Space
from lookalike.setting_types import Count, Positive, Seed, Settings, Share, Side, Spread, Unit


class SettingsError(LookalikeError):
    """A setting is unknown, missing or out of range."""


class Data(Settings):
    """Where the images are."""

    root: str | None = Field(description="folder with train/<class>/ ..., or a .csv / .parquet table")
    validation_share: Share = Field(description="share of train to hold out when there is no validation folder")
    seed: Seed = Field(description="which images are held out")
    archive: str | None = Field(
        description="zip of Market-1501, unpacked once into root; null root = data/<name of the zip>"
    )
    exclude: str | None = Field(
        description="CSV of images to leave out (path,reason); null = exclude.csv in root, where there is one"
    )


class Pixels(Settings):
    """How an image becomes model input."""

    height: Side = Field(description="pixels")
    width: Side = Field(description="pixels")
    resize: Literal["stretch", "crop", "pad"] = Field(description="what happens to the aspect ratio")


class Augment(Settings):
    """Off-line augmented copies of the training images."""

    per_class: Count | None = Field(description="images each class shall have, copies included; null = no copies")
    output: str | None = Field(
        description="folder of the copies; null = data/albumentation, or data/albumentation-<name> for data elsewhere"
    )
    seed: Seed = Field(description="same seed, same copies")
    strength: Annotated[float, Field(gt=0, le=2)] = Field(description="1 = the recipe's ranges")
    max_side: Side = Field(description="pixels; larger copies are scaled down")
    threads: Count | None = Field(description="null = one per core")


class Online(Settings):
    """Random changes made anew in every epoch."""

    flip: bool = Field(description="mirror half of the images")
    crop_area: Annotated[float, Field(gt=0, le=1)] = Field(description="smallest share of the area kept; 1 = no crop")
    color: Annotated[float, Field(ge=0, le=1)] = Field(
        description="change of brightness, contrast and saturation; 0 = none"
    )
    erase: Unit = Field(description="share of the images of which a random rectangle is blanked")


class Model(Settings):
    """Backbone, head, and what of them is trained."""

    backbone: str = Field(description="a timm model name")
    weights: str = Field(description="auto (timm's hub), package, none, or a file")
    embedding_size: Annotated[int, Field(ge=1, le=8192)] | None = Field(
        description="dimensions; null = the backbone's own features"
    )
    pooling: Literal["avg", "gem"] = Field(description="gem needs a convolutional backbone")
    bn_neck: bool = Field(description="batch norm behind the head")
    trainable: Annotated[list[str], Field(min_length=1)] = Field(description="backbone stages and head, or all")
    mean: Annotated[list[Unit], Field(min_length=3, max_length=3)] | None = Field(
        description="three values in 0..1; null = timm's"
    )
    std: Annotated[list[Spread], Field(min_length=3, max_length=3)] | None = Field(
        description="three values in 0..1, none of them 0; null = timm's"
    )


_LOGGERS = {"csv": ["folder"], "mlflow": ["uri", "experiment"], "tensorboard": ["folder"], "wandb": ["project"]}


def _known_loggers(chosen: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    problems = [_unknown(f"logger.{name}", list(_LOGGERS)) for name in chosen if name not in _LOGGERS]
    for name, known in _LOGGERS.items():
        given = chosen.get(name, known)
        problems += [_unknown(f"logger.{name}.{option}", known) for option in given if option not in known]
        problems += [_needed(f"logger.{name}.{option}") for option in known if option not in given]
    if problems:
        raise PydanticCustomError("logger", "{problems}", {"problems": "; ".join(problems)})
    return chosen


Logger = Annotated[dict[str, dict[str, str]], AfterValidator(_known_loggers)]


class Trainer(Settings):
    """How long and how fast."""

    max_epochs: Count
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
    patience: Count = Field(description="epochs without a better validation score before stopping")
    precision: Literal["auto", "32-true", "bf16-mixed", "bf16-products"] = Field(
        description="auto = the quickest of the others that keeps the loss, measured once per machine and model; "
        "products = small convolutions as matrix products; the loss is float32 in all"
    )
    trunk_cache: bool = Field(description="keep what a frozen trunk makes of unchanging images on disk; off = never")
    trunk_cache_gib: Positive = Field(description="GiB that all such caches may take; a larger one is not made")
    device: Literal["auto", "cpu", "cuda"]
    threads: Count | None = Field(description="of torch; null = one per core")
    workers: Annotated[int, Field(ge=0)] | None = Field(description="loading processes; null = by the cores")
    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(
        description="at most this much work is lost; 0 = each step"
    )


class Train(Settings):
    """Settings of `lookalike train`."""

    run: Annotated[str, Field(pattern=r"^[^./\\\s][^/\\]*$")] | None = Field(
        description="name of the run, also of its folders; null = made from data, model, loss and seed"
    )
    seed: Seed
    resume: Literal["auto", "never"] = Field(description="never = start over, the old run is kept under a dated name")
    models_dir: str
    checkpoint_dir: str
    false_accept_rate: Share | None = Field(
        description="share of unknown images that predict may give a name; null = it never says unknown"
    )
    logger: Logger
    data: Data
    pixels: Pixels
    augment: Augment
    online: Online
    model: Model
    loss: Loss
    trainer: Trainer


class CompareCommand(Train):
    """Settings of `lookalike compare`: those of training, several values for some of them."""

    name: Annotated[str, Field(pattern=r"^[^./\\\s][^/\\]*$")] = Field(
        description="of the comparison; its runs are <name>-<values>-s<seed>"
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="every combination is run with each")
    output: str | None = Field(description="folder of tables and pages; null = reports/<name>")


class TuneCommand(Train):
    """Settings of `lookalike tune`: those of training, and what may be drawn."""

    name: Annotated[str, Field(pattern=r"^[^./\\\s][^/\\]*$")] = Field(description="of the search, also of its runs")
    trials: Count = Field(description="runs in all, those of earlier sessions counted")
    objective: Objective = Field(description="of validation: what the search maximises")
    prune: bool = Field(description="end a run early that does worse than half of the others at the same epoch")
    output: str | None = Field(description="folder of tables and pages; null = reports/<name>")
    tune: Space


class ManifestCommand(Settings):
    """Settings of `lookalike manifest`."""

    data: Data
    output: str = Field(description="table to write, .csv or .parquet")
    check: bool = Field(description="decode every image")


class AugmentCommand(Augment):
    """Settings of `lookalike augment`."""

    data: Data
    per_class: Count = Field(description="images each class shall have, copies included")


Precision = Annotated[
    Literal["auto", "float32", "bf16"],
    Field(
        description="of a bundle's network; auto = bf16 where the processor or GPU has it and the bundle agreed in it; "
        "an int8 bundle is always int8"
    ),
]


class EmbedCommand(Settings):
    """Settings of `lookalike embed`."""

    bundle: str
    data: Data
    output: str = Field(description="folder to write")
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision


class EvalCommand(Settings):
    """Settings of `lookalike eval`."""

    bundle: str | None = Field(description="folder of a bundle; or give ckpt_path")
    ckpt_path: str | None = Field(description="a Lightning checkpoint, of lookalike or of another project")
    allow_partial: bool = Field(description="also when not every tensor of the model is in the checkpoint")
    data: Data
    split: Literal["train", "validation", "test"]
    camera_rule: bool = Field(description="leave out references of the query's own label and camera, where known")
    similarity: Literal["cosine", "euclidean"]
    rerank: Literal["none", "k_reciprocal", "expand"]
    worst: Annotated[int, Field(ge=0)] = Field(description="worst queries drawn with their neighbours; 0 = no picture")
    output: Annotated[str, Field(pattern=r"\.json$")] | None = Field(
        description="JSON to write, ending in .json; null = reports/<name>-<split>.json"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
    logger: Logger
    pixels: Pixels
    model: Model


class PredictCommand(Settings):
    """Settings of `lookalike predict`."""

    bundle: str
    image: str = Field(description="a file, a folder or a glob pattern")
    k: Count = Field(description="neighbours that vote; more than a class has images lets others outvote it")
    output: str = Field(description="folder of the dated JSON and picture")
    gallery_root: str | None = Field(description="where the gallery's images are now, if they moved")
    false_accept_rate: Share | None = Field(description="when to say unknown; null = as the bundle was trained")
    picture_rows: Annotated[int, Field(ge=0)] = Field(description="images drawn at most; 0 = no picture")
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision


class QuantizeCommand(Settings):
    """Settings of `lookalike quantize`."""

    bundle: str
    data: Data
    output: str | None = Field(description="folder to write; null = <bundle>-int8")
    images: Count = Field(description="training images that show the range of every layer")
    max_loss: Unit = Field(description="by how much accuracy@1 and mAP on validation may fall; 0.002 = 0.2 points")
    seed: Seed = Field(description="which training images")


class AuditCommand(Settings):
    """Settings of `lookalike audit`."""

    bundle: str | None = Field(description="whose embeddings are used; null = untrained efficientnet_lite0")
    data: Data
    output: str = Field(description="folder of audit.html and audit.parquet, and of what later audits need not read")
    apply: str | None = Field(
        description="add to exclude.csv of the data: safe = what cannot be used, and exact copies in train of images "
        "of other splits; or a CSV (path,reason) of accepted findings; null = nothing"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision


class ReportCommand(Settings):
    """Settings of `lookalike report`."""

    bundle: str
    data: Data
    split: Literal["train", "validation", "test"]
    camera_rule: bool = Field(description="leave out references of the query's own label and camera, where known")
    umap: bool = Field(description="also lay the map out by UMAP, which keeps neighbours together and takes longer")
    output: Annotated[str, Field(pattern=r"\.html$")] | None = Field(
        description="page to write, ending in .html; null = reports/<name>-<split>.html"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision


class DemoCommand(Settings):
    """Settings of `lookalike demo`."""

    data: Data


COMMANDS: dict[str, type[Settings]] = {
    "manifest": ManifestCommand,
    "augment": AugmentCommand,
    "train": Train,
    "compare": CompareCommand,
    "tune": TuneCommand,
    "embed": EmbedCommand,
    "eval": EvalCommand,
    "predict": PredictCommand,
    "report": ReportCommand,
    "quantize": QuantizeCommand,
    "audit": AuditCommand,
    "demo": DemoCommand,
}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `group.name` -> value."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def check(kind: type[Settings], values: dict[str, Any]) -> Any:
    """Builds settings from plain values.

    Raises:
        SettingsError: Names every unknown, missing or out-of-range setting, with the nearest known names.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems = [_problem(kind, values, dict(detail)) for detail in error.errors()]
        first = "" if len(problems) == 1 else f"{len(problems)} wrong settings:\n  "
        raise SettingsError(first + listed(problems)) from None


def _problem(kind: type[Settings], values: dict[str, Any], detail: dict[str, Any]) -> str:
    where = [str(part) for part in detail["loc"]]
    if len(where) > 1 and where[0] == "loss" and where[1] == values.get("loss", {}).get("name"):
        del where[1]  # the discriminator, which is no setting
    name = ".".join(where)
    if detail["type"] == "extra_forbidden":
        return _unknown(name, _known(kind, where[:-1], values))
    if detail["type"] == "missing" or detail["input"] is None:
        return _needed(name)
    if detail["type"] == "string_pattern_mismatch":
        wanted = "a name without slashes that starts with neither a dot nor a space"
        suffix = str(detail["ctx"]["pattern"]).replace("\\", "").rstrip("$") if name == "output" else ""
        return f"{name}={detail['input']}: expected {'a file ending in ' + suffix if suffix else wanted}"
    if detail["type"] == "logger":
        return str(detail["msg"])
    if detail["type"] == "union_tag_invalid":
        return f"{name}.name={detail['ctx']['tag']}: expected {detail['ctx']['expected_tags']}: choose it by {name}=..."
    message = str(detail["msg"]).replace("Input should be", "expected")
    return f"{name}={detail['input']}: {message[0].lower() + message[1:]}"


def _unknown(name: str, known: list[str]) -> str:
    hint = did_you_mean(name.rpartition(".")[2], known)
    return f"{name}: unknown setting{hint}; known here: {', '.join(known)}"


def _needed(name: str) -> str:
    return f"{name}: needs a value: give {name}=..."


def _known(kind: type[Settings], where: list[str], values: dict[str, Any]) -> list[str]:
    """The settings of one group; those of a loss depend on its name."""
    fields: Any = kind
    for part in where:
        annotation = (
            fields.model_fields[part].annotation if isinstance(fields, type) and issubclass(fields, BaseModel) else None
        )
        if part == "loss":
            options = getattr(annotation, "__args__", ())
            wanted = values["loss"].get("name")
            annotation = next(
                (option for option in options if option.model_fields["name"].annotation.__args__[0] == wanted), None
            )
        fields = annotation
    return list(getattr(fields, "model_fields", {}))
