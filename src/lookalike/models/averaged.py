"""The mean of a network's weights over the last steps of training.

Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization". Every step has the same
say. Running statistics of trained batch norms are averaged alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_NORMS = nn.modules.batchnorm._BatchNorm


class WeightAverage:
    """Means of what training changes in a network.

    Attributes:
        count: Steps that are in it.

    Args:
        begins: The first step whose weights count, from 1.
    """

    def __init__(self, begins: int) -> None:
        self.begins, self.count = begins, 0
        self._means: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, network: nn.Module, step: int) -> None:
        """Takes in the weights after a step.

        Args:
            network: In training mode, always the same one.
            step: Steps that were done, from 1.
        """
        if step < self.begins:
            return
        values = _trained(network)
        self.count += 1
        if self.count == 1:
            self._means = {name: value.detach().clone() for name, value in values.items()}
            return
        self._fit(values)
        torch._foreach_lerp_([self._means[name] for name in values], list(values.values()), 1 / self.count)

    @contextmanager
    @torch.no_grad()
    def inside(self, network: nn.Module) -> Iterator[None]:
        """The network has the means for weights meanwhile; its own ones while there are none yet."""
        live = network.state_dict()  # tensors of the network itself
        self._fit({name: live[name] for name in self._means if name in live})
        kept = {name: live[name].clone() for name in self._means}
        try:
            for name, mean in self._means.items():
                live[name].copy_(mean)
            yield
        finally:
            for name, value in kept.items():
                live[name].copy_(value)

    def state(self) -> dict[str, Any]:
        """`count` and `means` (name -> tensor), for a checkpoint."""
        return {"count": self.count, "means": self._means}

    def load(self, state: dict[str, Any]) -> None:
        """Takes up `state`.

        Raises:
            KeyError: A part is missing.
        """
        self.count, self._means = int(state["count"]), dict(state["means"])

    def _fit(self, values: dict[str, Tensor]) -> None:
        """Brings means that a checkpoint had to where the network is.

        Raises:
            ValueError: They are of another network.
        """
        wrong = {name for name, mean in self._means.items() if name not in values or values[name].shape != mean.shape}
        wrong |= values.keys() - self._means.keys()
        if wrong:
            raise ValueError(f"the averaged weights are not those of this network: {', '.join(sorted(wrong)[:3])}")
        self._means = {name: mean.to(values[name].device) for name, mean in self._means.items()}


def _trained(network: nn.Module) -> dict[str, Tensor]:
    """What training changes, by its name in the state: parameters, and statistics of batch norms that learn them."""
    values: dict[str, Tensor] = {name: value for name, value in network.named_parameters() if value.requires_grad}
    for prefix, part in network.named_modules():
        if isinstance(part, _NORMS) and part.training and part.track_running_stats:
            values |= {f"{prefix}.{name}": getattr(part, name) for name in ("running_mean", "running_var")}
    return values
