"""The settings of a data set: where it lies, what its columns are called, what is held out of training."""

from typing import Literal

from pydantic import ConfigDict, Field

from lookalike.settings.paths import PathText, StoredText
from lookalike.settings.types import Seed, Settings, Share

SplitBy = Literal["individual", "site", "date", "scene", "stratified"]
_Header = str | None


class Columns(Settings):
    """What the columns of a table are called where they are not called as ours; the setting is our name."""

    path: _Header = Field(None, description="the image file")
    label: _Header = Field(None, description="who or what it shows")
    split: _Header = Field(None, description="train, validation or test")
    role: _Header = Field(None, description="reference, query, both or empty")
    camera: _Header = Field(None, description="what took it: a whole number or a name")
    ignore: _Header = Field(None, description="true for junk")
    source: _Header = Field(None, description="the original of an augmented copy")
    site: _Header = Field(None, description="where it was taken, for data.split=site; the camera where there is none")
    date: _Header = Field(None, description="when it was taken, for data.split=date and scene")
    seconds: _Header = Field(None, description="when it was taken, in seconds of one clock for all cameras")
    scene: _Header = Field(None, description="the burst, video or sequence it belongs to, for data.split=scene")
    tracklet: _Header = Field(None, description="the passage before one camera whose images eval pools into one")
    x1: _Header = Field(None, description="left edge of a box, pixels")
    y1: _Header = Field(None, description="its upper edge, pixels")
    x2: _Header = Field(None, description="its right edge, pixels")
    y2: _Header = Field(None, description="its lower edge, pixels")

    def given(self) -> dict[str, str]:
        """Our name -> that of the table, for those that were named."""
        return {name: header for name, header in self.model_dump().items() if header is not None}


class HeldOut(Settings):
    """What is held out of training where a data set has no such split.

    Attributes:
        validation_share: Share of the training images (of people and individuals: of the labels), 0 for none.
        seed: Which.
        split: What stays together; None for images of every class at random, whole people in Market-1501 and its like.
        test_share: As `validation_share`, for test; None for none.
    """

    model_config = ConfigDict(extra="ignore")

    validation_share: Share = 0.0
    seed: Seed = 0
    split: SplitBy | None = None
    test_share: Share | None = None

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.validation_share or self.test_share)


class Data(Settings):
    """Where the images are."""

    root: PathText | None = Field(description="folder with train/<class>/ ..., or a .csv / .parquet table")
    validation_share: Share = Field(description="share of train to hold out when there is no validation folder")
    seed: Seed = Field(description="which images are held out")
    archive: PathText | None = Field(
        description="zip of Market-1501, unpacked once into root; null root = data/<name of the zip>"
    )
    exclude: PathText | None = Field(
        description="CSV of images to leave out (path,reason); null = exclude.csv in root, where there is one"
    )
    keep_copies: bool = Field(description="let references that are copies of a query's own file answer it")
    split: SplitBy | None = Field(
        description="individual | site | date | scene | stratified: what stays together when validation_share and "
        "test_share are held out; null = images of every class at random (people of Market-1501: whole)"
    )
    test_share: Share | None = Field(description="as validation_share, for test; null = none")
    images: PathText | None = Field(description="folder that the paths of a table start from; null = the table's own")
    columns: Columns
    pattern: str | None = Field(
        None,
        description="reads labels out of the names of files: a regular expression for the whole path below root, "
        "without its ending, whose named groups are columns, such as (?P<label>[^_/]+)_c(?P<camera>[0-9]+).*",
    )
    layout: str = Field(
        "auto",
        description="what root is: auto (recognised), folders (class folders), or a published data set such as "
        "market1501 (docs/data.md)",
    )
    fold: int | None = Field(
        None, ge=1, description="which of the splits a published data set comes with, from 1 on; null = the first"
    )


class DataAnywhere(Data):
    """Where the images are: also in an object store."""

    root: StoredText | None = Field(
        description="folder with train/<class>/ ..., or a .csv / .parquet table; or either as s3://bucket/..."
    )
    images: StoredText | None = Field(
        description="folder or address that the paths of a table start from; null = the table's own"
    )
