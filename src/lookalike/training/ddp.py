"""Lightning's DDP on processes that have met already."""

import signal
import threading

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lookalike.models.embedder import Embedder
from lookalike.models.trunk import in_eval_mode
from lookalike.models.world import World


class Met(ClusterEnvironment):
    """Processes that have met: there is nothing to start, and no address to look for.

    Args:
        world: Which process this is.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning starts none."""
        return True

    @property
    def main_address(self) -> str:
        """Not used any more."""
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        """Not used any more."""
        return 0

    @staticmethod
    def detect() -> bool:
        """It is never chosen by itself."""
        return False

    def world_size(self) -> int:
        """How many processes there are."""
        return self._world.size

    def set_world_size(self, size: int) -> None:
        """It stands already."""

    def global_rank(self) -> int:
        """Of this process."""
        return self._world.rank

    def set_global_rank(self, rank: int) -> None:
        """It stands already."""

    def local_rank(self) -> int:
        """Of this process on its machine."""
        return self._world.local_rank

    def node_rank(self) -> int:
        """Of this machine."""
        return self._world.rank // self._world.local_size


class OneWrites(DDPStrategy):
    """DDP in which the first process writes checkpoints while the others go on, up to the next exchange of gradients.

    Args:
        world: Which process this is.
    """

    def __init__(self, world: World) -> None:
        # Buffers are equal already: batch norms that learn their statistics learn them over all processes.
        super().__init__(cluster_environment=Met(world), broadcast_buffers=False)

    def _configure_launcher(self) -> None:
        self._launcher = None  # Lightning's would also choose a number of threads

    def barrier(self, name: str | None = None, *args: object, **kwargs: object) -> None:
        """Waits for the others, but not where a checkpoint was written: when is decided by a clock, in one process."""
        if name != "Trainer.save_checkpoint":
            super().barrier(name, *args, **kwargs)


def leave_unused(module: nn.Module, embedder: Embedder, size: tuple[int, int]) -> list[str]:
    """Keeps parameters that no embedding depends on out of DDP, which would wait for their gradients for ever.

    Args:
        module: What DDP gets; it holds the embedder.
        embedder: The network.
        size: Height and width of the images.

    Returns:
        Their names in the module.
    """
    trained = {name: value for name, value in module.named_parameters() if value.requires_grad}
    own = {id(value) for value in embedder.parameters()}
    names = [name for name, value in trained.items() if id(value) in own]
    device = embedder.mean.device
    with in_eval_mode(embedder), torch.enable_grad():
        embedding = embedder(torch.zeros(2, *size, 3, dtype=torch.uint8, device=device))
        gradients = torch.autograd.grad(embedding.sum(), [trained[name] for name in names], allow_unused=True)
    unused = [name for name, gradient in zip(names, gradients, strict=True) if gradient is None]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, unused)  # type: ignore[no-untyped-call]
    return unused


class EndsAtOnce(pl.Callback):
    """SIGTERM ends a process that trains with others, as it ends any program: its checkpoint stands, the others end.

    Lightning would tell the others from inside the handler, in the middle of another exchange.
    """

    def on_train_start(self, *_: object) -> None:
        """After Lightning has set its handler; it puts the former one back at the end."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
