"""What every network here has in common: uint8 images in, embeddings out.

Letters in shapes: B batch, H height, W width, D embedding.
"""

from torch import Tensor, nn


class ImageNetwork(nn.Module):
    """A network that takes uint8 RGB [B, H, W, 3]: what is done to these pixels is part of it."""

    @property
    def embedding_size(self) -> int:
        """D."""
        raise NotImplementedError

    def embed(self, images: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> unit embedding [B, D]."""
        return nn.functional.normalize(self(images), dim=1)
