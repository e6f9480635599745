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
