"""What the first process tells the others, and what is said when one is gone."""

from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.cli.arguments import read_settings
from lookalike.data.reading import read_manifest
from lookalike.models.world import World
from lookalike.training.follow import Order, dismiss, lost, order
from lookalike.training.launch import DeviceError
from lookalike.training.plan import Plan
from runs import arguments


class Listening(World):
    """A first process whose words are kept instead of sent."""

    said: list[object] = []  # noqa: RUF012 - of one test

    def told(self, decide):  # type: ignore[no-untyped-def]
        self.said.append(decide())


def test_an_order_is_all_that_a_training_needs(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listening, "said", said := [])
    settings = read_settings("train", arguments(digits)[1:])
    plan = Plan(settings, read_manifest(digits), None, lambda history: False, Listening(0, 2, 0, 2))
    order(plan, {"epoch": 3})
    dismiss(plan.world)
    first, last = said
    assert isinstance(first, Order)
    assert (first.settings, first.state, first.watched, last) == (settings, {"epoch": 3}, True, None)
    assert first.manifest is plan.manifest
    order(replace(plan, world=World()), None)
    dismiss(World())
    assert len(said) == 2, "there is nobody to tell"


def test_who_is_gone_is_said_on_one_line() -> None:
    error = RuntimeError("Connection closed by peer\nException raised from ...")
    assert isinstance(lost(error), DeviceError)
    assert str(lost(error)).startswith(
        "training on several devices stopped: Connection closed by peer; the same command"
    )
    assert str(lost(error, "process 1 of 2 was killed")).startswith(
        "process 1 of 2 was killed; the same command goes on"
    )
    assert "\n" not in str(lost(error))
