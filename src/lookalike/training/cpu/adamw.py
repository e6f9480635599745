"""AdamW over parameters in the order they have in memory.

torch's fused AdamW copies every parameter, gradient and moment that is not contiguous in the usual sense, and
convolution weights laid out for bf16 (channels last) are not; seen as one long vector each of them is.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.training.cpu.convolutions import Rounded

_PART = 1 << 17  # values: half a MiB each of parameter, gradient and both moments


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
        shaped = iter(self._shaped)
        rounded = []
        for group in self.param_groups:
            for view in group["params"]:
                parameter = next(shaped)
                gradient = None if parameter.grad is None else _flat(_laid_out_as(parameter, parameter.grad))
                if gradient is not None and gradient.dtype != view.dtype:
                    rounded.append((group, view, gradient, parameter))
                    gradient = None
                view.grad = gradient
        super().step()
        for parameter in self._shaped:
            if (kept := getattr(parameter, "rounded", None)) is not None:
                kept.forget()  # torch's fused step does not count as a change of the parameter
        for group, view, gradient, parameter in rounded:
            self._step_of_rounded(group, view, gradient, parameter)
        return result

    @torch.no_grad()
    def _step_of_rounded(self, group: dict[str, Any], view: Tensor, gradient: Tensor, parameter: nn.Parameter) -> None:
        """One step with a gradient in bf16, part by part, so that a part stays in the cache.

        The copy of the parameter in bf16 that the next forward pass multiplies is made on the way.
        """
        state = self.state[view]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(view), torch.zeros_like(view)
        state["step"] += 1
        kept = Rounded.of(parameter)
        values = (view, gradient, state["exp_avg"], state["exp_avg_sq"], _flat(kept.values))
        whole = torch.empty(min(_PART, len(view)), dtype=view.dtype, device=view.device)
        for first in range(0, len(view), _PART):
            part, given, mean, square, copy = (value[first : first + _PART] for value in values)
            exact = whole[: len(part)].copy_(given)
            torch._fused_adamw_(
                [part],
                [exact],
                [mean],
                [square],
                [],
                [state["step"]],
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
            copy.copy_(part)
        kept.note(parameter)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from an earlier state; also from one of `torch.optim.AdamW`, whose moments have a shape.

        Of its groups the rates are taken, which a schedule has changed; all else is as this optimiser was made.

        Raises:
            ValueError: It is of other parameters: torch would step beyond the end of a moment that is too short.
        """
        groups = []
        for group, ours in zip(state_dict["param_groups"], self.param_groups, strict=True):
            rates = {name: float(group[name]) for name in ("lr", "initial_lr") if name in group}
            if not all(0 <= rate < math.inf for rate in rates.values()):
                raise ValueError(f"a learning rate of {max(rates.values())}")
            groups.append({**ours, **rates, "params": group["params"]})
        if [number for group in groups for number in group["params"]] != list(range(len(self._shaped))):
            raise ValueError(f"parameters of another optimiser, expected {len(self._shaped)} of them")
        state = {index: self._as_ours(index, moments) for index, moments in state_dict["state"].items()}
        super().load_state_dict({**state_dict, "state": state, "param_groups": groups})

    def _as_ours(self, index: int, moments: dict[str, Any]) -> dict[str, Tensor]:
        """The count of steps and the moments of a parameter, flat as it is."""
        if not moments:
            return {}
        parameter, step = self._shaped[index], moments["step"]
        if not isinstance(step, Tensor) or step.dim() or step.dtype != torch.float32:
            raise ValueError(f"parameter {index}: the count of steps is no number")
        ours = {"step": step}
        for name in ("exp_avg", "exp_avg_sq"):
            value = moments[name]
            whole = isinstance(value, Tensor) and value.dtype == parameter.dtype
            if not whole or value.shape not in (parameter.shape, (parameter.numel(),)):
                raise ValueError(f"parameter {index}: {name} is not of its shape {tuple(parameter.shape)}")
            if value.shape == parameter.shape:
                ours[name] = _flat(torch.empty_like(parameter, device=value.device).detach().copy_(value))
                continue
            ours[name] = _flat(value.contiguous())
        return ours

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
    return torch.empty_like(parameter, dtype=gradient.dtype).copy_(gradient)
