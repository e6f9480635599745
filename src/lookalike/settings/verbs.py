"""The settings of every verb: those of training, and those of each other command."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from lookalike.settings.checkpoints import OfCheckpoint
from lookalike.settings.cluster import RayCluster
from lookalike.settings.compose import is_null
from lookalike.settings.data import Data, DataAnywhere
from lookalike.settings.paths import PathText, PlaceText, StoredText, SwitchOrPath
from lookalike.settings.search_space import Objective, Space
from lookalike.settings.training import (
    Augment,
    Backbone,
    ChannelMeans,
    ChannelSpreads,
    Logger,
    Model,
    Pixels,
    Pooling,
    Train,
    Weights,
)
from lookalike.settings.types import (
    Count,
    Off,
    Seed,
    Settings,
    Split,
    Unit,
    list_or_text,
    number_or_off,
    share_or_off,
)
from lookalike.storage import is_address


class CompareCommand(Train):
    """Settings of `lookalike compare`: those of training, several values for some of them."""

    name: Annotated[str, Field(pattern=r"^[^./\\\s][^/\\]*$")] = Field(
        description="of the comparison; its runs are <name>-<values>-s<seed>"
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] = Field(description="every combination is run with each")
    output: PathText | None = Field(description="folder of tables and pages; null = reports/<name>")


class TuneCommand(Train):
    """Settings of `lookalike tune`: those of training, and what may be drawn."""

    name: Annotated[str, Field(pattern=r"^[^./\\\s][^/\\]*$")] = Field(description="of the search, also of its runs")
    trials: Count = Field(description="runs in all, those of earlier sessions counted")
    objective: Objective = Field(description="of validation: what the search maximises")
    prune: bool = Field(description="end a run early that does worse than half of the others at the same epoch")
    output: PathText | None = Field(description="folder of tables and pages; null = reports/<name>")
    tune: Space


class ManifestCommand(Settings):
    """Settings of `lookalike manifest`."""

    data: Data
    output: PathText = Field(description="table to write, .csv or .parquet")
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


MOST_SHARDS = 99_999  # their names have five digits


Filter = Annotated[str | int | float | bool | list[str] | None, BeforeValidator(list_or_text)]


def by_names(value: object, info: ValidationInfo) -> object:
    """Values by the names of columns; what has no name is refused.

    Args:
        value: As it was given.
        info: Of the setting.
    """
    if isinstance(value, dict):
        return value
    text = str(value)[:200]
    example = "shelf" if info.field_name == "columns" else "label"
    raise PydanticCustomError(
        "whole_line",
        "{name}={value}: expected the column, too: {name}.<column>=<value>, such as {name}.{example}={value}",
        {"name": str(info.field_name), "value": text, "example": example},
    )


Filters = Annotated[dict[str, Filter], BeforeValidator(by_names)]

Workers = Annotated[
    Annotated[int, Field(ge=0)] | None,
    Field(description="threads that read images; null = two per core, up to 16; no process is started"),
]


class UntrainedModel(Settings):
    """A network with its first weights: the recipe of a model without what training adds to it."""

    backbone: Backbone
    weights: Weights
    pooling: Pooling
    mean: ChannelMeans
    std: ChannelSpreads

    @model_validator(mode="before")
    @classmethod
    def _without_training(cls, values: object) -> object:
        """`configs/embed.yaml` takes out what a recipe says of training; what is there again was asked for."""
        if not isinstance(values, dict):
            return values
        of_training = set(Model.model_fields) - set(cls.model_fields)
        for name in sorted(of_training):
            if not is_null(values.get(name)):
                raise PydanticCustomError(
                    "whole_line",
                    "model.{name}={value}: is of training, and an untrained model gives the features of its backbone "
                    "as they are: leave it out, or train and give bundle=<folder>",
                    {"name": name, "value": str(values[name])},
                )
        if values.get("weights") == "none":
            raise PydanticCustomError(
                "whole_line",
                "model.weights=none: random weights are of no use without training: give auto, package or a file",
            )
        return {name: value for name, value in values.items() if name not in of_training}


def part_of_all(text: str) -> str:
    """Which of how many shards, as `3/64`.

    Args:
        text: As it was given.
    """
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= MOST_SHARDS):
        raise PydanticCustomError(
            "shard",
            "expected a part of all from 1 on, such as 3/64 (1/64 to 64/64; where a cluster counts from 0, add 1), at "
            "most {most} parts",
            {"most": MOST_SHARDS},
        )
    return f"{int(number)}/{int(count)}"


class Embedding(Settings):
    """What embeds: a bundle, or a network without training."""

    bundle: PathText | None = Field(description="folder of a bundle; or give model, for a network without training")
    model: UntrainedModel | None = Field(
        description="a recipe, see groups: its network as it is before training; null = that of the bundle"
    )
    pixels: Pixels | None = Field(description="of such a network; null = as its recipe says, or else timm")
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
    workers: Workers

    @model_validator(mode="before")
    @classmethod
    def _bundle_alone(cls, values: object) -> object:
        """Refuses a network or pixels beside a bundle, which has its own."""
        if not isinstance(values, dict):
            return values
        given = {name: values.get(name) for name in ("model", "pixels")}
        model = given["model"]
        if isinstance(model, dict) and all(is_null(value) for value in model.values()):
            given["model"] = None
        bundle = not is_null(values.get("bundle"))
        others = [name for name, value in given.items() if value is not None]
        if bundle and others:
            raise PydanticCustomError(
                "whole_line",
                "bundle={bundle}: has a network and pixels of its own: leave out {others}, or the bundle",
                {"bundle": str(values["bundle"]), "others": " and ".join(others)},
            )
        return {**values, **given}


class EmbedCommand(Embedding):
    """Settings of `lookalike embed`."""

    data: DataAnywhere
    output: StoredText = Field(description="folder to write, or s3://bucket/prefix, which gets shards")
    shards: Annotated[int, Field(ge=1, le=MOST_SHARDS)] | None = Field(
        description="write Parquet files in so many parts, those that lack; null = one folder, or one part in s3://"
    )
    shard: Annotated[str, AfterValidator(part_of_all)] | None = Field(
        description="write one part, for jobs of a cluster: 3/64 is the third of 64"
    )

    engine: Literal["local", "ray"] = Field(
        description="local: this process; ray: the machines of a cluster, in shards"
    )
    ray: RayCluster

    @model_validator(mode="after")
    def _one_way(self) -> "EmbedCommand":
        """Refuses two ways of saying which shards are written."""
        given = {name: value for name, value in self.ray.model_dump().items() if value}
        if self.engine == "local" and given:
            name = next(iter(given))
            raise PydanticCustomError(
                "whole_line",
                "ray.{name}={value}: is of engine=ray, and the engine is local: give engine=ray, or leave it out",
                {"name": name, "value": str(given[name])},
            )
        if self.engine == "ray" and self.shard is not None:
            raise PydanticCustomError(
                "whole_line",
                "shard={shard} and engine=ray: a cluster writes all that lack: leave one of them out",
                {"shard": self.shard},
            )
        if self.shard is not None and self.shards is not None:
            raise PydanticCustomError(
                "whole_line",
                "shard={shard} and shards={shards}: one part, and all that lack: leave one of them out",
                {"shard": self.shard, "shards": self.shards},
            )
        return self

    @property
    def parts(self) -> tuple[int | None, int] | None:
        """Which shard is written (None for all that lack), and how many there are; None where there are none."""
        if self.shard is not None:
            number, _, count = self.shard.partition("/")
            return int(number), int(count)
        places = (self.output, self.data.root or "", self.data.images or "")
        if self.shards is None and not any(is_address(place) for place in places):
            return None
        return None, self.shards or 1


class EvalCommand(OfCheckpoint):
    """Settings of `lookalike eval`."""

    bundle: PathText | None = Field(description="folder of a bundle; or give ckpt_path or gallery")
    gallery: PlaceText | None = Field(
        description="folder or address of a gallery: how well it names these images; all where there are no splits"
    )
    queries: StoredText | None = Field(
        description="embeddings that lookalike embed wrote (folder or s3://...), which ask; no model is needed"
    )
    references: StoredText | None = Field(
        description="embeddings that are searched; where they are shards, a part at a time is in memory; null = queries"
    )
    ckpt_path: PathText | None = Field(description="a checkpoint, of lookalike or of any other project")
    ckpt_key: str | None = Field(
        description="which set of weights, where the checkpoint holds several, such as state_dict_ema; null = its own"
    )
    allow_partial: bool = Field(description="also when not every tensor of the model is in the checkpoint")
    data: Data
    split: Split
    camera_rule: bool = Field(description="leave out references of the query's own label and camera, where known")
    camera_rule_seconds: Annotated[float, Field(ge=0)] | None = Field(
        description="leave out of the query's own label and camera only what was taken within so many seconds of it; "
        "null = at any time"
    )
    elsewhere_seconds: Annotated[float, Field(ge=0)] | None = Field(
        description="leave out what another camera saw within so many seconds of the query: nobody is at two places at "
        "once; null = off"
    )
    similarity: Literal["cosine", "euclidean"]
    rerank: Literal["none", "k_reciprocal", "expand"]
    pool: Literal["none", "mean", "max"] | None = Field(
        description="how images of one tracklet become one; null = mean where the data set names tracklets"
    )
    worst: Annotated[int, Field(ge=0)] = Field(description="worst queries drawn with their neighbours; 0 = no picture")
    output: Annotated[PathText, Field(pattern=r"\.json$")] | None = Field(
        description="JSON to write, ending in .json; null = reports/<name>-<split>.json"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
    workers: Workers
    logger: Logger


class PredictCommand(Settings):
    """Settings of `lookalike predict`."""

    bundle: PathText | None = Field(
        description="folder of a bundle; with a gallery the model that made it, if it moved"
    )
    gallery: PlaceText | None = Field(
        description="folder or address of a gallery to search; null = what the bundle knows"
    )
    where: Filters = Field(
        description="of a gallery: search only these images: where.label, where.camera or where.<column>=<value>"
    )
    unless: Filters = Field(description="of a gallery: leave these images out: unless.camera=3")
    index: Literal["ivf"] | None = Field(
        description="of a gallery: ivf = approximate search of at least 10,000 images, whose index is built first; it "
        "pays for very many images to predict; null = exact"
    )
    keep_unknown: SwitchOrPath = Field(
        description="of a gallery: keep images that are called unknown in its folder unknown, for gallery suggest; or "
        "the folder, which a gallery on a server needs"
    )
    image: PathText = Field(
        description="a file, a folder, a glob pattern, or a .csv, .tsv or .parquet table with a column path"
    )
    boxes: PathText | None = Field(
        description="of things in the photographs, each of which is asked alone: a table with path, x1, y1, x2, y2, "
        "COCO's .json, or a folder of YOLO's text files; null = whole images"
    )
    k: Count | None = Field(
        description="neighbours that vote, each once; null = ten are shown, of which vote as was best on validation"
    )
    output: PathText = Field(description="folder of the dated JSON and picture; or a .csv or .parquet table to write")
    gallery_root: PathText | None = Field(description="where the gallery's images are now, if they moved")
    threshold: Annotated[float | Off | None, number_or_off(-1, 1)] = Field(
        description="say unknown where the nearest known image is not more similar than this; off = never"
    )
    false_accept_rate: Annotated[float | Off | None, share_or_off] = Field(
        description="share of unknown images that may get a name; off = all, null = as the bundle was trained"
    )
    picture_rows: Annotated[int, Field(ge=0)] = Field(description="images drawn at most; 0 = no picture")
    explain: bool = Field(
        description="show which regions of an image and of its neighbours make them similar; every neighbour is read"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
    workers: Workers


class QuantizeCommand(Settings):
    """Settings of `lookalike quantize`."""

    bundle: PathText
    data: Data
    output: PathText | None = Field(description="folder to write; null = <bundle>-int8")
    images: Count = Field(description="training images that show the range of every layer")
    max_loss: Unit = Field(description="by how much accuracy@1 and mAP on validation may fall; 0.002 = 0.2 points")
    seed: Seed = Field(description="which training images")


class AuditCommand(Settings):
    """Settings of `lookalike audit`."""

    bundle: PathText | None = Field(description="whose embeddings are used; null = untrained efficientnet_lite0")
    data: Data
    output: PathText = Field(
        description="folder of audit.html and audit.parquet, and of what later audits need not read"
    )
    apply: PathText | None = Field(
        description="add to exclude.csv of the data: safe = what cannot be used, and exact copies in train of images "
        "of other splits; or a CSV (path,reason) of accepted findings; null = nothing"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision


class ReportCommand(Settings):
    """Settings of `lookalike report`."""

    bundle: PathText
    data: Data
    split: Split
    camera_rule: bool = Field(description="leave out references of the query's own label and camera, where known")
    umap: bool = Field(description="also lay the map out by UMAP, which keeps neighbours together and takes longer")
    output: Annotated[PathText, Field(pattern=r"\.html$")] | None = Field(
        description="page to write, ending in .html; null = reports/<name>-<split>.html"
    )
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
    workers: Workers


class DemoCommand(Settings):
    """Settings of `lookalike demo`."""

    data: Data
