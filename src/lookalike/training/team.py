"""The first process of a training on several devices: starts or meets the others, tells them what to do, ends them."""

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from lookalike.errors import LookalikeError
from lookalike.models.world import World, join, leave
from lookalike.training.follow import dismiss, lost, order
from lookalike.training.launch import Helpers, Launched, meet
from lookalike.training.plan import Plan

_LEAVING = 10.0  # seconds


class Team:
    """This process and those beside it, which are there from the first training on until the block ends.

    Args:
        world: Which process this is: the first one.
        by: Who started the processes; None where they are started here.
        device: `cpu` or `cuda`.
    """

    def __init__(self, world: World, by: Launched | None, device: str) -> None:
        self._world, self._by, self._device = world, by, device
        self._helpers: Helpers | None = None
        self._joined = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def start(self) -> None:
        """Starts the other processes, whose imports take seconds; nothing where there are none, or they are there."""
        if not self._world.alone and self._by is None and self._helpers is None:
            self._helpers = self._stack.enter_context(Helpers(self._world.size, self._device))

    def order(self, plan: Plan, state: dict[str, Any] | None) -> None:
        """Tells the others what is trained next; the first time it waits until all are there.

        Args:
            plan: The run.
            state: The checkpoint of a run that goes on.
        """
        if self._world.alone:
            return
        self.start()
        if not self._joined:
            self._joined = True
            store = self._helpers.store if self._helpers else meet(self._by)  # type: ignore[arg-type]
            join(self._world, store, self._device)
        order(plan, state)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._joined:
                dismiss(self._world)
            if isinstance(error, RuntimeError) or (
                isinstance(error, LookalikeError) and isinstance(error.__cause__, RuntimeError)
            ):
                gone = self._helpers.gone() if self._helpers else None
                if gone and (gone.by_itself or not isinstance(error, LookalikeError)):
                    raise lost(error, gone.how) from error
                if self._joined and isinstance(error, RuntimeError):
                    raise lost(error) from error
        finally:
            self._stack.__exit__(kind, error, trace)
            if self._joined:
                leaving = threading.Thread(target=leave, daemon=True)  # NCCL may wait for one that is gone
                leaving.start()
                leaving.join(None if kind is None else _LEAVING)
