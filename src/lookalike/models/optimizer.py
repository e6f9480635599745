"""AdamW over parameters in the order they have in memory.

torch's fused AdamW copies every parameter, gradient and moment that is not contiguous in the usual sense, and
convolution weights laid out for bf16 (channels last) are not; seen as one long vector each of them is.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class FlatAdamW(torch.optim.AdamW):
    """torch's fused AdamW on flat views that share memory with the parameters; the same arithmetic.

    Args:
        groups: As for `torch.optim.AdamW`; parameters must be dense.
        weight_decay: Of the groups that give none.
    """

    def __init__(self, groups: list[dict[str, Any]], weight_decay: float) -> None:
        self._shaped: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        flat = [{**group, "params": [_flat(parameter.detach()) for parameter in group["params"]]} for group in groups]
        super().__init__(flat, weight_decay=weight_decay, fused=True)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Runs `closure` (forward and backward), then one step."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        views = [view for group in self.param_groups for view in group["params"]]
        for view, parameter in zip(views, self._shaped, strict=True):
            view.grad = None if parameter.grad is None else _flat(_laid_out_as(parameter, parameter.grad))
        super().step()
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from an earlier state; also from one of `torch.optim.AdamW`, whose moments have a shape."""
        state = {
            index: {name: self._as_ours(index, value) for name, value in moments.items()}
            for index, moments in state_dict["state"].items()
        }
        groups = [
            {**group, "fused": ours["fused"], "foreach": ours["foreach"]}
            for group, ours in zip(state_dict["param_groups"], self.param_groups, strict=True)
        ]
        super().load_state_dict({**state_dict, "state": state, "param_groups": groups})

    def _as_ours(self, index: int, value: Any) -> Any:
        parameter = self._shaped[index]
        if isinstance(value, Tensor) and value.dim() > 1 and value.shape == parameter.shape:
            return _flat(torch.empty_like(parameter, device=value.device).detach().copy_(value))
        return value

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients."""
        super().zero_grad(set_to_none=True)
        for parameter in self._shaped:
            parameter.grad = None


def _flat(tensor: Tensor) -> Tensor:
    return tensor.as_strided((tensor.numel(),), (1,))


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
