"""A network of torch, ready to embed on a GPU, in float32 or bf16.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.console import say
from lookalike.inference.openvino_network import Precision

if TYPE_CHECKING:
    from lookalike.models.embedder import Embedder


_GPU_BATCH = 64


class TorchNetwork:
    """The embedder itself, in torch.

    Args:
        embedder: The network.
        device: `cuda` or `cpu`.
        precision: `bf16` runs the network under autocast; the last normalisation is float32.
        batch: B.
        compiled: Let torch compile it; needs a compiler on the machine, and pays for thousands of images.
    """

    def __init__(
        self,
        embedder: "Embedder",
        device: str,
        precision: Precision = "float32",
        batch: int = _GPU_BATCH,
        compiled: bool = False,
    ) -> None:
        import torch

        self.batch = batch
        self._torch, self._device, self._bf16 = torch, device, precision == "bf16"
        self._embedder = embedder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._forward: Any = torch.compile(self._embedder) if compiled else self._embedder
        self._lock = threading.Lock()

    def _run(self, images: Any) -> Any:
        with self._torch.autocast(self._device, self._torch.bfloat16, enabled=self._bf16):
            if self._forward is self._embedder:
                return self._embedder(images)
            try:
                return self._forward(images)
            except Exception as error:  # no compiler, or one that fails: whatever it raises
                say(f"torch cannot compile the network here ({type(error).__name__}): it runs uncompiled")
                self._forward = self._embedder
                return self._embedder(images)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """One batch; the copy to the device runs from pinned memory, beside the work of other threads."""
        torch = self._torch
        given = torch.from_numpy(images)
        if self._device != "cpu":
            given = given.pin_memory()
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=self._bf16)  # float32 means float32
        with self._lock, exact, torch.inference_mode():
            embedding = self._run(given.to(self._device, non_blocking=True))
        unit: np.ndarray = torch.nn.functional.normalize(embedding.float(), dim=1).cpu().numpy()
        return unit
