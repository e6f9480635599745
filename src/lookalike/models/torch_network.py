"""A network of torch, ready to embed: on a GPU, or where OpenVINO cannot take it over.

Letters in shapes: B batch, H height, W width, D embedding.
"""

import threading
from typing import Any

import numpy as np
import torch

from lookalike.console import say
from lookalike.devices import need_cuda, torch_has_bf16
from lookalike.errors import LookalikeError
from lookalike.inference.bundle import Bundle
from lookalike.inference.encoder import Encoder, WantedPrecision, encoder_of_bundle, refuse_int8
from lookalike.inference.openvino_network import Precision
from lookalike.models.backbone import is_elsewhere
from lookalike.models.embedder import load_embedder
from lookalike.models.image_network import ImageNetwork

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
        embedder: ImageNetwork,
        device: str,
        precision: Precision = "float32",
        batch: int = _GPU_BATCH,
        compiled: bool = False,
    ) -> None:
        self.batch = batch
        self.device, self._bf16 = device, precision == "bf16"
        self._embedder = embedder.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._forward: Any = torch.compile(self._embedder) if compiled else self._embedder
        self._lock = threading.Lock()

    def _run(self, images: torch.Tensor) -> Any:
        with torch.autocast(self.device, torch.bfloat16, enabled=self._bf16):
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
        pixels = torch.from_numpy(images)
        if self.device != "cpu":
            pixels = pixels.pin_memory()
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=self._bf16)  # float32 means float32
        with self._lock, exact, torch.inference_mode():
            embedding = self._run(pixels.to(self.device, non_blocking=True))
        unit: np.ndarray = torch.nn.functional.normalize(embedding.float(), dim=1).cpu().numpy()
        return unit


def gpu_encoder(bundle: Bundle, precision: WantedPrecision = "auto", compiled: bool = False) -> Encoder:
    """A bundle's network on a GPU.

    Args:
        bundle: A verified bundle.
        precision: `auto` is bf16 where the GPU has it and the bundle's parity check was passed in it.
        compiled: Let torch compile the network; pays for thousands of images.

    Raises:
        LookalikeError: No GPU, an int8 bundle, or one whose network comes from a hub or folder.
    """
    refuse_int8(bundle, "device=cuda")
    backbone = bundle.config.model.backbone
    if is_elsewhere(backbone):
        raise LookalikeError(
            f"{bundle.path}: its network is made from elsewhere (model.backbone={backbone}), and no file decides what "
            f"is fetched: use device=cpu, which needs none of it, or give ckpt_path={bundle.weights}, that "
            "model.backbone and its other settings"
        )
    need_cuda()
    embedder = load_embedder(bundle.weights, bundle.config.model, bundle.pixels)
    if precision == "auto":
        precision = "bf16" if bundle.config.parity.bf16 and torch_has_bf16("cuda") else "float32"
    return encoder_of_bundle(bundle, TorchNetwork(embedder, "cuda", precision, compiled=compiled), precision)
