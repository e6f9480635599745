"""What two processes compute together and one computes alone, for the tests of `models`; run as one child per process.

Writes `<rank>.pt` into the folder that it is given.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous

from lookalike.models.gathered import joined
from lookalike.models.losses import MetricLoss, loss_names
from lookalike.models.synced_norms import sync_norms
from lookalike.models.world import World, join, leave

ROWS, SIZE, CLASSES = 12, 5, 4  # B, D, C
_OTHER = ("name", "sample_classes")  # what `MetricLoss` takes elsewhere
CONFIGS = Path(__file__).parents[1] / "configs" / "loss"


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(ROWS, SIZE, generator=generator, dtype=torch.float64)
    return inputs, torch.tensor([0, 0, 1, 1, 2, 2, 0, 1, 3, 3, 0, 2])


def network() -> nn.Module:
    torch.manual_seed(5)
    return nn.Linear(SIZE, SIZE).double()


def loss_of(name: str) -> MetricLoss:
    torch.manual_seed(7)
    settings: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml"))
    return MetricLoss(
        name, {key: value for key, value in settings.items() if key not in _OTHER}, CLASSES, SIZE
    ).double()


def gradients(name: str, world: World) -> dict[str, Tensor]:
    """The loss and all gradients of one step, averaged over processes as DDP does."""
    inputs, labels = batch()
    part = world.share_of(ROWS)
    embedder, loss = network(), loss_of(name)
    embedding, labels = embedder(inputs[part]), labels[part]
    if not world.alone:
        embedding, labels = joined(embedding), joined(labels)
    value = loss(embedding, labels)
    value.backward()
    parameters = {**dict(embedder.named_parameters()), **dict(loss.named_parameters())}
    result = {"value": value.detach()}
    for key, parameter in parameters.items():
        assert parameter.grad is not None
        if not world.alone:
            distributed.all_reduce(parameter.grad)
        result[key] = parameter.grad / world.size
    return result


def norms(world: World) -> dict[str, Tensor]:
    """Two batch norms in training, the second with an activation: outputs, gradients, running statistics."""
    from timm.layers import BatchNormAct2d

    torch.manual_seed(11)
    maps = 3 + 2 * torch.randn(ROWS, 4, 3, 2, dtype=torch.float64)
    head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), BatchNormAct2d(4), nn.Flatten(), nn.BatchNorm1d(24))
    head = head.double().train()
    head[2].eval()
    head[2].train()
    if not world.alone:
        assert sync_norms(head) == 3
        assert sync_norms(head) == 3, "a second time changes nothing"
    rows = maps[world.share_of(ROWS)].requires_grad_()
    for _ in range(2):
        outputs = head(rows)
    (outputs * torch.arange(24)).square().sum().backward()
    result = {"outputs": outputs.detach(), "of rows": rows.grad, **head.state_dict()}
    for key, parameter in head.named_parameters():
        assert parameter.grad is not None
        if not world.alone:
            distributed.all_reduce(parameter.grad)
        result[f"of {key}"] = parameter.grad
    head.eval()
    with torch.no_grad():
        result["evaluated"] = head(maps)
    return result


def exchanges(world: World) -> dict[str, Any]:
    """What the processes tell each other."""
    asked: list[int] = []
    items = list(range(7))
    made: list[int] = []

    def work() -> int:
        made.append(world.rank)
        return world.rank

    collected = world.collected(world.dealt(items))
    return {
        "told": world.told(lambda: asked.append(world.rank) or "decided"),
        "asked": asked,
        "collected": collected,
        "undealt": world.undealt(collected, len(items)) if collected else None,
        "few": world.dealt([9]),
        "all": [world.all_of(True), world.all_of(world.first)],
        "one by one": world.one_by_one(work),
        "joined": joined(torch.tensor([world.rank, 10 + world.rank])),
    }


def main(folder: str) -> None:
    store, rank, size = next(rendezvous("env://"))
    world = World(rank, size, rank, size)
    join(world, store, "cpu")
    result = {
        "gradients": {name: gradients(name, world) for name in loss_names()},
        "norms": norms(world),
        "exchanges": exchanges(world),
    }
    leave()
    torch.save(result, Path(folder) / f"{rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1])
