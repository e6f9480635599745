"""The verb doctor."""

from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.console import quiet
from lookalike.terminal import give, show, visible_line

if TYPE_CHECKING:
    from lookalike.settings.machine import DoctorCommand

_MARKS = {True: "ok  ", False: "BAD ", None: "    "}


def doctor(settings: "DoctorCommand") -> int:
    """`lookalike doctor`; 1 where something that is needed is broken."""
    import pooch

    from lookalike.cli import doctor_checks as ask

    named = {"cache": Path(pooch.os_cache("lookalike"))}
    named |= {name: Path(getattr(settings, name)) for name in ("models_dir", "checkpoint_dir", "output")}
    asked = chain(ask.packages(), ask.extras(), ask.processor(), ask.gpu(), ask.places(named), ask.fonts())
    with quiet():  # letters that no font has are a line here, and no note
        checks = [*asked, *(ask.network(settings.tracker) if settings.network else [])]
    for topic, listed in groupby(checks, key=lambda check: check.topic):
        show(topic)
        for check in listed:
            advice = f"  -> {check.advice}" if check.advice else ""
            show(visible_line(f"  {_MARKS[check.right]}{check.name:<16}  {check.value}{advice}"))
    broken = [check.name for check in checks if check.right is False]
    give(checks=checks, broken=broken)
    show(f"broken: {', '.join(broken)}" if broken else "everything that is needed is here")
    return int(bool(broken))
