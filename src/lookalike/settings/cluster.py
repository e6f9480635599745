"""The settings of a cluster: where `embed engine=ray` embeds."""

from typing import Annotated

from pydantic import Field

from lookalike.settings.types import Count, Settings


class RayCluster(Settings):
    """Where `engine=ray` embeds."""

    address: str | None = Field(
        description="ray://<host>:<port>, <host>:<port> or auto; null = one of this machine, for this run alone"
    )
    workers: Count | None = Field(description="processes that embed; null = one on every machine")
    cpus: Annotated[float, Field(gt=0)] | None = Field(
        description="cores of each; null = those of a machine, shared by its processes"
    )
    gpus: Annotated[float, Field(ge=0)] = Field(description="GPUs of each, such as 1 or 0.5")
