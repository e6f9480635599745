"""The verb completion."""

from typing import TYPE_CHECKING

from lookalike.cli.completion_script import script
from lookalike.terminal import give, show

if TYPE_CHECKING:
    from lookalike.settings.machine import CompletionCommand


def completion(settings: "CompletionCommand") -> int:
    """`lookalike completion`."""
    text = script(settings.shell)
    give(script=text)
    show(text)
    return 0
