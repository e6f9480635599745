"""What a function of torch's autograd keeps from its forward to its backward pass, with types."""

from typing import Any

from torch import Tensor
from torch.autograd.function import FunctionCtx


class Kept(FunctionCtx):
    """The first argument of both passes.

    Attributes:
        about: What is no tensor.
        saved_tensors: What `save_for_backward` was given.
        needs_input_grad: Of each argument whether its gradient is wanted.
    """

    about: Any
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]
