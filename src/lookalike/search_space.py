"""What a search may draw: settings with a range or with choices."""

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from lookalike.setting_types import Settings


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
        if not good:
            raise PydanticCustomError("knob", "needs low < high (above 0 with log), or choices")
        return self

    def extremes(self) -> list[Any]:
        """The values that a search may come to at most: if they are valid, all are."""
        if self.choices is not None:
            return list(self.choices)
        return [int(end) if self.whole else end for end in (self.low, self.high) if end is not None]


class Space(Settings):
    """What may be drawn of every group of settings."""

    loss: dict[str, Knob] = Field(default_factory=dict)
    trainer: dict[str, Knob] = Field(default_factory=dict)
    model: dict[str, Knob] = Field(default_factory=dict)
    online: dict[str, Knob] = Field(default_factory=dict)
    pixels: dict[str, Knob] = Field(default_factory=dict)

    def knobs(self) -> dict[str, Knob]:
        """`group.setting` -> how it is drawn."""
        return {
            f"{group}.{name}": knob for group in type(self).model_fields for name, knob in getattr(self, group).items()
        }


Objective = Literal["accuracy@1", "map"]
