"""What a person may say of a checkpoint of another project; what is not said is worked out from the file."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from lookalike.settings.paths import PathText, PathTexts
from lookalike.settings.training import ChannelMeans, ChannelSpreads
from lookalike.settings.types import Settings, Side

AUTO = "auto"
_LARGEST = 8192  # dimensions


def _whole(value: object) -> object:
    """A number that was typed; what is none is left to the next check."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _a_size(value: int | str | None) -> int | str | None:
    if isinstance(value, int) and not 1 <= value <= _LARGEST:
        raise PydanticCustomError("size", "expected greater than 0 and at most {most}", {"most": _LARGEST})
    return value


def _unsaid(values: object, fields: dict[str, Any]) -> object:
    """Settings with what was not said of them."""
    unsaid = {name: AUTO if name == "embedding_size" else None for name in fields}
    return {**unsaid, **values} if isinstance(values, dict) else values


class CheckpointModel(Settings):
    """The network in a checkpoint; of a recipe also what it says of training, which is of no matter here."""

    project: str | None = Field(
        description="that wrote the checkpoint, where others use the same names, or none; null = as the file shows"
    )
    backbone: str | None = Field(description="a timm model name; null = as the file shows")
    embedding_size: Annotated[int | Literal["auto"] | None, BeforeValidator(_whole), AfterValidator(_a_size)] = Field(
        description="dimensions of its linear layer; null = the backbone's own features, auto = as the file shows"
    )
    pooling: Literal["avg", "gem", "max", "avg+max"] | None = Field(description="null = as the file shows")
    bn_neck: bool | None = Field(description="batch norm behind the head; null = as the file shows")
    last_stride: Annotated[Literal[1, 2] | None, BeforeValidator(_whole)] = Field(
        description="of the last stage of a ResNet, which no file shows: null = as its project has it"
    )
    mean: ChannelMeans
    std: ChannelSpreads
    weights: PathText | None = Field(description="of training")
    frozen_batch_norm: bool | None = Field(description="of training")
    trainable: list[str] | None = Field(description="of training")

    @model_validator(mode="before")
    @classmethod
    def _with_the_unsaid(cls, values: object) -> object:
        return _unsaid(values, cls.model_fields)


class CheckpointPixels(Settings):
    """How the images of a checkpoint are read; null = as its project does."""

    height: Side | None = Field(description="pixels")
    width: Side | None = Field(description="pixels")
    resize: Literal["stretch", "crop", "pad"] | None = Field(description="what happens to the aspect ratio")
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] | None = Field(description="how it is scaled")
    antialias: bool | None = Field(description="as Pillow and torchvision do, not as OpenCV does")
    usual_size: Annotated[list[Side], Field(min_length=2, max_length=2)] | None = Field(
        description="height and width where neither the file nor its project says; null = timm's"
    )
    shorter_side: Side | None = Field(
        description="of crop: pixels to which the shorter side is scaled before the centre is cut out"
    )
    border: Annotated[int, Field(ge=0, le=255)] | None = Field(description="of pad: 0 black, 255 white")

    @model_validator(mode="before")
    @classmethod
    def _with_the_unsaid(cls, values: object) -> object:
        return _unsaid(values, cls.model_fields)


class OfCheckpoint(Settings):
    """What verbs say of a checkpoint."""

    model: CheckpointModel | None = Field(
        description="of another project's, such as model.last_stride=1; null = as the file shows"
    )
    pixels: CheckpointPixels | None = Field(description="likewise, such as pixels.height=256")

    @model_validator(mode="before")
    @classmethod
    def _groups_may_be_left_out(cls, values: object) -> object:
        return {"model": None, "pixels": None, **values} if isinstance(values, dict) else values


class InspectCommand(OfCheckpoint):
    """Settings of `lookalike inspect`."""

    ckpt_path: PathTexts = Field(
        description="a checkpoint, of lookalike or of any other project; several, or a folder of them: a line each"
    )
    ckpt_key: str | None = Field(
        description="which set of weights, where the checkpoint holds several, such as state_dict_ema; null = its own"
    )
    output: Annotated[PathText, Field(pattern=r"\.json$")] | None = Field(description="JSON to write, ending in .json")
