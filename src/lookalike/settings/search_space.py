"""What a search may draw: settings with a range or with choices."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lookalike.settings.types import Settings


class Knob(Settings):
    """How one setting is drawn: between `low` and `high`, or one of `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="by its logarithm")
    whole: bool = Field(False, description="whole numbers")
    choices: list[str | int | float | bool] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Knob":
        ends = (self.low, self.high)
        if self.choices is not None:
            good = ends == (None, None) and len(self.choices) > 0
        else:
            good = self.low is not None and self.high is not None and self.low < self.high
            good = good and not (self.log and (self.low or 0) <= 0)
            good = good and not (self.whole and any(end != int(end) for end in ends if end is not None))
        if not good:
            raise PydanticCustomError(
                "knob", "needs low < high (above 0 with log, without fractions with whole), or choices"
            )
        return self

    def samples(self) -> list[str | int | float | bool]:
        """Values that stand for all that may be drawn: every choice, or both ends and something between."""
        if self.choices is not None:
            return list(self.choices)
        low, high = self.low or 0.0, self.high or 0.0
        return [int(low), int(high)] if self.whole else [low, high, low + 0.37 * (high - low)]


class Space(Settings):
    """What may be drawn of every group of settings."""

    loss: dict[str, Knob] = Field(default_factory=dict)
    trainer: dict[str, Knob] = Field(default_factory=dict)
    model: dict[str, Knob] = Field(default_factory=dict)
    online: dict[str, Knob] = Field(default_factory=dict)
    pixels: dict[str, Knob] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _nothing(cls, values: object) -> object:
        """`tune.loss=none` draws nothing of the loss."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value not in (None, "null", "none")}

    def knobs(self) -> dict[str, Knob]:
        """`group.setting` -> how it is drawn."""
        return {
            f"{group}.{name}": knob for group in type(self).model_fields for name, knob in getattr(self, group).items()
        }


Objective = Literal["accuracy@1", "map"]
