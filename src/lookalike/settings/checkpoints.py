"""What a person may say of a checkpoint of another project; what is not said is worked out from the file."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lookalike.settings.paths import PathText
from lookalike.settings.training import ChannelMeans, ChannelSpreads
from lookalike.settings.types import Settings, Side

Auto = Literal["auto"]


def _whole(value: object) -> object:
    """A number that was typed; what is none is left to the next check."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class CheckpointModel(Settings):
    """The network in a checkpoint; of a recipe also what it says of training, which is of no matter here."""

    backbone: str | None = Field(None, description="a timm model name; null = as the file shows")
    embedding_size: Annotated[
        Annotated[int, Field(ge=1, le=8192)] | Auto | None,
        BeforeValidator(_whole),
        Field(
            description="dimensions of its linear layer; null = the backbone's own features, auto = as the file shows"
        ),
    ] = "auto"
    pooling: Literal["avg", "gem", "max", "avg+max"] | None = Field(None, description="null = as the file shows")
    bn_neck: bool | None = Field(None, description="batch norm behind the head; null = as the file shows")
    last_stride: Annotated[
        Literal[1, 2] | None,
        BeforeValidator(_whole),
        Field(description="of the last stage of a ResNet, which no file shows: null = as its project has it"),
    ] = None
    mean: ChannelMeans = None
    std: ChannelSpreads = None
    weights: PathText | None = Field(None, description="of training")
    frozen_batch_norm: bool | None = Field(None, description="of training")
    trainable: list[str] | None = Field(None, description="of training")


class CheckpointPixels(Settings):
    """How the images of a checkpoint are read; null = as its project does."""

    height: Side | None = Field(None, description="pixels")
    width: Side | None = Field(None, description="pixels")
    resize: Literal["stretch", "crop", "pad"] | None = Field(None, description="what happens to the aspect ratio")
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] | None = None
    antialias: bool | None = None
    shorter_side: Side | None = Field(
        None, description="of crop: pixels, to which it is scaled before the centre is cut"
    )
    border: Annotated[int, Field(ge=0, le=255)] | None = Field(None, description="of pad: 0 black, 255 white")


class InspectCommand(Settings):
    """Settings of `lookalike inspect`."""

    ckpt_path: PathText = Field(description="a checkpoint, of lookalike or of another project")
    ckpt_key: str | None = Field(
        description="which set of weights, where the checkpoint holds several, such as state_dict_ema; null = its own"
    )
    model: CheckpointModel | None = Field(None, description="what is known of its network, such as model.last_stride=1")
    pixels: CheckpointPixels | None = Field(None, description="how its images are read, such as pixels.height=256")
    output: Annotated[PathText, Field(pattern=r"\.json$")] | None = Field(description="JSON to write, ending in .json")
