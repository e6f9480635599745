"""What the processes beside the first one do: they are told what to train, and train it with the others."""

import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch.distributed.distributed_c10d import Store

from lookalike.console import console, said_to
from lookalike.data.manifest import Manifest
from lookalike.models.world import World, join, leave
from lookalike.settings.training import Train
from lookalike.training.build import build
from lookalike.training.callbacks import Abandoned
from lookalike.training.fit import fit, prepare_process, quiet
from lookalike.training.launch import GO_ON, DeviceError
from lookalike.training.plan import Plan


@dataclass(frozen=True)
class Order:
    """What is trained next.

    Attributes:
        settings: Of the run.
        manifest: Its data.
        state: The checkpoint of a run that goes on.
        watched: Whether the first process may end the run early.
    """

    settings: Train
    manifest: Manifest
    state: dict[str, Any] | None
    watched: bool


def order(plan: Plan, state: dict[str, Any] | None) -> None:
    """Tells the other processes what this one trains next.

    Args:
        plan: The run.
        state: The checkpoint of a run that goes on.
    """
    if not plan.world.alone:
        plan.world.told(lambda: Order(plan.settings, plan.manifest, state, plan.watch is not None))


def dismiss(world: World) -> None:
    """Tells the other processes that nothing is left to train."""
    if not world.alone:
        world.told(lambda: None)


def follow(world: World, store: Store, device: str) -> None:
    """Trains what the first process says until it says that nothing is left; writes nothing and prints nothing.

    Args:
        world: Which process this is.
        store: Where all meet.
        device: `cpu` or `cuda`.

    Raises:
        DeviceError: Another process is gone.
        LookalikeError: As in the first process.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all: the first one ends the others
    console.quiet = True
    quiet()
    try:
        join(world, store, device)
        with said_to(lambda line: None):
            while (what := world.told(_nothing)) is not None:
                plan = Plan(what.settings, what.manifest, None, _nobody if what.watched else None, world)
                prepare_process(plan)
                module, datamodule = build(plan, what.state)
                with suppress(Abandoned):
                    fit(plan, module, datamodule, what.state)
    except RuntimeError as error:
        raise lost(error) from error
    finally:
        leave()


def lost(error: Exception, who: str = "") -> DeviceError:
    """What is said where an exchange with the other processes fails.

    Args:
        error: Of the exchange.
        who: Which process is gone, and how, where that is known.
    """
    first = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DeviceError(f"{who or f'training on several devices stopped: {first}'}; {GO_ON}")


def _nothing() -> Order | None:
    raise AssertionError("the first process says what is trained")


def _nobody(history: list[dict[str, float]]) -> bool:
    raise AssertionError("the first process watches")
