"""The settings of the verbs that take a model elsewhere: push, pull, export."""

from typing import Annotated, Literal

from pydantic import Field

from lookalike.settings.paths import PathText
from lookalike.settings.types import Settings

_Words = Annotated[str, Field(min_length=1, max_length=200)]


class PushCommand(Settings):
    """Settings of `lookalike push`."""

    bundle: PathText
    place: str = Field(description="hf://<owner>/<name>[@<branch>], or mlflow://<name>[@<alias>]")
    data_license: _Words | None = Field(
        description="under which the photographs it learnt from may be used: an identifier such as cc-by-4.0 "
        "or mit, or words; asked for, as it binds whoever takes the model"
    )
    license: _Words | None = Field(description="of the model; null = that of the photographs")
    data_name: _Words | None = Field(description="of the photographs, for the card; null = the name of their folder")
    private: bool = Field(description="a repository of the Hub that is made now is seen by its owner alone")
    uri: str | None = Field(description="MLflow's store; null = MLFLOW_TRACKING_URI, or sqlite:///mlflow.db")


class PullCommand(Settings):
    """Settings of `lookalike pull`."""

    place: str = Field(
        description="hf://<owner>/<name>[@<branch, tag or commit>], mlflow://<name>[@<alias>] or mlflow://<name>/<version>"
    )
    output: PathText | None = Field(description="folder to write; null = models/<name>")
    uri: str | None = Field(description="MLflow's store; null = MLFLOW_TRACKING_URI, or sqlite:///mlflow.db")


class ExportCommand(Settings):
    """Settings of `lookalike export`."""

    bundle: PathText
    format: Literal["onnx", "openvino", "tensorrt", "torchscript"] = Field(description="torchscript is refused")
    output: PathText | None = Field(description="folder to write; null = <bundle>-<format>")
    images: PathText | None = Field(description="images to compare on; null = those of the bundle's references")
    gallery: bool = Field(description="write labels and embeddings of the references as gallery.json")
