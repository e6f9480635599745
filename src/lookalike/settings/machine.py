"""The settings of the verbs about this machine: doctor and completion."""

from typing import Annotated, Literal

from pydantic import Field

from lookalike.settings.paths import PathText
from lookalike.settings.types import Settings


class DoctorCommand(Settings):
    """Settings of `lookalike doctor`."""

    models_dir: PathText = Field(description="where train would write bundles")
    checkpoint_dir: PathText = Field(description="where train would keep checkpoints")
    output: PathText = Field(description="where predict would write")
    network: bool = Field(description="ask the hub and the trackers, each for two seconds at most")
    tracker: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        description="address of an MLflow server to ask, too, such as http://127.0.0.1:5000"
    )


class CompletionCommand(Settings):
    """Settings of `lookalike completion`."""

    shell: Literal["bash", "zsh", "fish"]
