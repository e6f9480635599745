"""Predictions as they stand in JSON, to be read back: what is there, and of which kind.

What a later version of the same schema adds is passed over.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lookalike.errors import LookalikeError
from lookalike.inference.bundle_config import VoteConfig

SCHEMA = 1
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class NoPredictionError(LookalikeError):
    """Something else was given than what `to_dict` of a prediction gives."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


Regions = Annotated[list[list[float]], Field(min_length=1)]
Place = tuple[Count, Count]
Method = Literal["exact", "occlusion"]


class MatchJson(_Part):
    """Two regions that look alike: rows and columns, from 0."""

    image: Place
    other: Place
    similarity: float


class ExplanationJson(_Part):
    """As `Explanation.to_dict` gives it."""

    image: str
    other: str
    similarity: float
    explained: float
    constant: float
    method: Method
    precision: str
    map_precision: str
    from_small_picture: bool = False
    reason: str = ""
    image_regions: Regions
    other_regions: Regions
    matches: tuple[MatchJson, ...] = ()

    @field_validator("image_regions", "other_regions")
    @classmethod
    def _rows_of_one_length(cls, rows: list[list[float]]) -> list[list[float]]:
        if len({len(row) for row in rows}) != 1 or not rows[0]:
            raise ValueError("expected rows of one length")
        return rows


class NeighbourJson(_Part):
    """As `Neighbour.to_dict` gives it."""

    rank: Annotated[int, Field(ge=1)]
    label: str
    source: str
    similarity: float
    number: int | None = None
    explanation: ExplanationJson | None = None


class PredictionJson(_Part):
    """As `Prediction.to_dict` gives it."""

    image: str
    box: tuple[float, float, float, float] | None = None
    box_number: Annotated[int, Field(ge=1)] | None = None
    label: str | None
    score: Share | None
    truth: str | None = None
    neighbours: tuple[NeighbourJson, ...]
    error: str | None = None


class RejectionJson(_Part):
    """As `Rejection.to_dict` gives it."""

    similarity: float
    promised: Share | None = None
    measured: Share | None = None
    interval_95: tuple[float, float] | None = None
    images: Count = 0
    labels: Count | None = None
    trained: bool = True
    warning: str = ""


class IndexJson(_Part):
    """As `IndexFacts.to_dict` gives it."""

    kind: Literal["ivf"]
    recall_at_10: Share
    images: Count
    cells: Count
    probes: Count
    seconds: float


class ExactJson(_Part):
    """As `ExactInstead.to_dict` gives it."""

    kind: Literal["exact"]
    reason: str


class PredictionsJson(_Part):
    """As `Predictions.to_dict` gives it."""

    created: str
    bundle: str
    fingerprint: str
    precision: str = "float32"
    k: Count
    vote: VoteConfig | None = None
    index: IndexJson | ExactJson | None = Field(default=None, discriminator="kind")
    unknown: RejectionJson | None = None
    items: tuple[PredictionJson, ...]


_Kind = TypeVar("_Kind", bound=_Part)


def read_back(kind: type[_Kind], values: Mapping[str, object]) -> _Kind:
    """Values from JSON, checked.

    Args:
        kind: What they are.
        values: As `to_dict` gave them.

    Raises:
        NoPredictionError: Something is missing, or of another kind.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the whole"
        what = kind.__name__.removesuffix("Json")
        raise NoPredictionError(
            f"{what}.from_dict: {where}: {problem['msg']}: give what {what}.to_dict gave"
        ) from error


def need_schema(values: Mapping[str, object]) -> None:
    """Refuses predictions of another version of the format.

    Args:
        values: As `Predictions.to_dict` gave them.

    Raises:
        NoPredictionError: They are.
    """
    schema = values.get("schema") if isinstance(values, Mapping) else None
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        advice = "pip install -U lookalike" if newer else "give what Predictions.to_dict gave"
        raise NoPredictionError(f"Predictions.from_dict: expected schema {SCHEMA}, found {schema!r}: {advice}")
