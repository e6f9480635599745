"""What Lightning is told of processes that have met already."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from lookalike.models.embedder import Embedder
from lookalike.models.world import World
from lookalike.training.ddp import Met, OneWrites, leave_unused


def test_lightning_starts_nothing_and_takes_the_ranks() -> None:
    met = Met(World(5, 8, 1, 4))
    assert (met.world_size(), met.global_rank(), met.local_rank(), met.node_rank()) == (8, 5, 1, 1)
    met.set_global_rank(0)
    met.set_world_size(1)
    assert (met.world_size(), met.global_rank(), met.creates_processes_externally, met.detect()) == (8, 5, True, False)
    assert (met.main_address, met.main_port) == ("127.0.0.1", 0)


def test_nobody_waits_where_a_checkpoint_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[str] = []
    monkeypatch.setattr(
        "lightning.pytorch.strategies.DDPStrategy.barrier", lambda self, name, *rest: waited.append(name)
    )
    strategy = OneWrites(World(0, 2, 0, 2))
    strategy.barrier("Trainer.save_checkpoint")
    strategy.barrier("train_dataloader()")
    assert waited == ["train_dataloader()"]


def test_parameters_that_no_embedding_depends_on_are_left_out_of_ddp() -> None:
    embedder = Embedder("test_resnet", 8, size=(32, 32))
    embedder.backbone.spare = nn.Linear(2, 2)
    module = nn.ModuleDict({"embedder": embedder})
    modes = {name: part.training for name, part in module.named_modules()}
    assert leave_unused(module, embedder, (32, 32)) == [
        f"embedder.backbone.spare.{name}" for name in ("weight", "bias")
    ]
    assert module._ddp_params_and_buffers_to_ignore == [
        "embedder.backbone.spare.weight",
        "embedder.backbone.spare.bias",
    ]
    assert {name: part.training for name, part in module.named_modules()} == modes
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_network_is_wrapped_without_what_is_left_out(tmp_path: Path) -> None:
    """DDP itself takes the list, in a group of one process."""
    embedder = Embedder("test_resnet", 8, size=(32, 32))
    embedder.backbone.spare = nn.Linear(2, 2)
    module = nn.ModuleDict({"embedder": embedder})
    leave_unused(module, embedder, (32, 32))
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(module, broadcast_buffers=False)
        assert len(wrapped.parameters_to_ignore) == 2
    finally:
        torch.distributed.destroy_process_group()
