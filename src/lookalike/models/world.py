"""The processes that train together, one per device: which of them this is, and what they tell each other.

The first one (rank 0) decides, writes and prints; the others follow it. Small values go from process to process as
pickles: they come from our own processes alone, never from a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.distributed.distributed_c10d import Store

Value = TypeVar("Value")
# How long a process waits for the others in one exchange: the first one ranks, exports and computes trunks meanwhile.
# Of a process that dies the connections close, which is noticed at once.
LONGEST = timedelta(hours=6)


@dataclass(frozen=True)
class World:
    """Which process this is; alone, unless it has joined others.

    Attributes:
        rank: Of this process, from 0.
        size: How many there are, on all machines.
        local_rank: Of this process on its machine: the number of its device.
        local_size: How many there are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process decides, writes and prints."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    @property
    def machines(self) -> int:
        """How many machines there are."""
        return self.size // self.local_size

    def told(self, decide: Callable[[], Value]) -> Value:
        """What the first process decides, in all of them; the others do not ask.

        Args:
            decide: Is called in the first process alone.
        """
        if self.alone:
            return decide()
        values: list[Any] = [decide() if self.first else None]
        distributed.broadcast_object_list(values, 0)
        value: Value = values[0]
        return value

    def collected(self, value: Value) -> list[Value]:
        """The values of all processes, by rank, in the first one; empty in the others."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.gather_object(value, values if self.first else None, 0)
        return values if self.first else []

    def all_of(self, value: bool) -> bool:
        """Whether it is true in every process."""
        answers = self.collected(value)
        return self.told(lambda: all(answers))

    def wait(self) -> None:
        """Until every process is here."""
        if not self.alone:
            self.all_of(True)

    def one_by_one(self, work: Callable[[], Value]) -> Value:
        """Does something in the first process of every machine, and then in the others, which find it done."""
        if self.local_rank == 0:
            result = work()
            self.wait()
            return result
        self.wait()
        return work()

    def dealt(self, items: Sequence[Value]) -> list[Value]:
        """Every so manyth of some items, from the one of this rank on; the first one where that is none.

        Args:
            items: The same in every process, at least one.
        """
        return list(items[self.rank :: self.size] or items[:1])

    def undealt(self, parts: list[list[Value]], count: int) -> list[Value]:
        """The items of all processes in their first order.

        Args:
            parts: By rank, each as `dealt` gave it.
            count: How many there were.
        """
        rounds = zip_longest(*parts)
        return [item for items in rounds for item in items if item is not None][:count]

    def share_of(self, count: int) -> slice:
        """The rows of a batch that are this process's, in order: [0, count) is cut into equal parts."""
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)


ALONE = World()


def join(world: World, store: Store, device: str) -> None:
    """Connects this process with the others; numbers on GPUs travel by NCCL, all else by Gloo.

    Args:
        world: Which one this is.
        store: Where they meet.
        device: `cpu` or `cuda`.
    """
    if device == "cuda":
        torch.cuda.set_device(world.local_rank)
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=world.rank, world_size=world.size, timeout=LONGEST)


def leave() -> None:
    """Ends the connection."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
