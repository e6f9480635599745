"""The settings of `lookalike serve`."""

from typing import Annotated, Literal

from pydantic import Field

from lookalike.settings.gallery import Bundle
from lookalike.settings.paths import PathText, PlaceText
from lookalike.settings.types import Count, Settings
from lookalike.settings.verbs import Precision

Megabytes = Annotated[float, Field(gt=0, le=4096)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class ServeCommand(Settings):
    """Settings of `lookalike serve`."""

    gallery: PlaceText | None = Field(description="folder of a gallery, or its address; null with demo=true")
    demo: bool = Field(description="serve example photographs, without training; they are put into a gallery")
    bundle: Bundle
    host: Annotated[str, Field(min_length=1)] = Field(
        description="address that it listens on; any but 127.0.0.1, ::1 and localhost needs tokens"
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(description="0 = any that is free")
    tokens: PathText | None = Field(
        description="file with a line `read <token>` or `write <token>` for each; null = none is asked for"
    )
    hosts: list[str] = Field(description="names that requests without tokens may use for this computer, such as [shop]")
    max_megabytes: Megabytes = Field(description="of one request; 1 = 1,000,000 bytes")
    max_images: Count = Field(description="in one request")
    waiting: Annotated[int, Field(ge=0)] = Field(description="requests that may wait for their turn; more get 503")
    seconds: Seconds = Field(description="that a request may take to arrive, and then to be answered")
    unknown: PathText | None = Field(
        description="folder of unknown images that are kept; null = that of the gallery, which one on a server has not"
    )
    unknown_images: Count = Field(description="kept unknown images that are not enrolled, at most; more are not kept")
    unknown_megabytes: Annotated[float, Field(gt=0, le=1e6)] = Field(description="that they may take, at most")
    device: Literal["auto", "cpu", "cuda"]
    precision: Precision
