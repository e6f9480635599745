"""Generalised mean pooling against a slow loop."""

import pytest
import torch

from embedders import make, pictures
from lookalike.errors import ModelError
from lookalike.models.embedder import Embedder
from lookalike.models.gem import GeM


@pytest.mark.parametrize("power", [3.0, 1.0, 5.5, 20.0])
def test_gem_equals_a_slow_loop(power: float) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 4, 5)
    features[0, 1] = 0  # a channel that saw nothing
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for b in range(2):
        for c in range(3):
            cells = [max(float(features[b, c, y, x]), 1e-6) ** power for y in range(4) for x in range(5)]
            expected[b, c] = (sum(cells) / 20) ** (1 / power)
    for flatten, shape in ((True, (2, 3)), (False, (2, 3, 1, 1))):
        pool = GeM(flatten, power=power)
        pooled = pool(features.requires_grad_())
        pooled.sum().backward()
        assert torch.isfinite(features.grad).all()
        assert torch.isfinite(pool.power.grad)
        assert pooled.shape == shape
        assert torch.allclose(pooled.double().view(2, 3), expected, rtol=1e-5)
    pooled = GeM(True, (1, 2), power)(features.permute(0, 2, 3, 1))
    assert torch.allclose(pooled.double(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "backbone", ["test_resnet", "test_efficientnet", "test_convnext", "swin_tiny_patch4_window7_224"]
)
def test_gem_takes_the_place_of_timms_pooling(backbone: str) -> None:
    """With power 1 on features above 0 it is the mean, which is timm's own pooling."""
    side = 224 if backbone.startswith("swin") else 64
    gem = make(backbone, pooling="gem", trainable=["head"])
    avg = make(backbone, trainable=["head"]).eval()
    (pool,) = (part for part in gem.modules() if isinstance(part, GeM))
    output = gem.train()(pictures(2, side))
    output.sum().backward()
    assert output.shape == (2, 16)
    assert pool.power.grad.abs() > 0  # learned together with the head

    above_zero = lambda _, inputs: (inputs[0].abs() + 0.1,)  # noqa: E731
    timms = next(p for n, p in avg.named_modules() if n.endswith("global_pool"))
    for part in (pool, timms):
        part.register_forward_pre_hook(above_zero)
    pool.power.data.fill_(1.0)
    with torch.no_grad():
        assert torch.allclose(gem.eval()(pictures(2, side)), avg(pictures(2, side)), atol=1e-5)


@pytest.mark.parametrize("backbone", ["test_vit", "vit_tiny_patch16_224"])
def test_gem_is_refused_without_a_feature_map(backbone: str) -> None:
    with pytest.raises(
        ModelError, match=rf"pooling=gem needs a convolutional backbone, {backbone} pools tokens: use .*avg"
    ):
        Embedder(backbone, pooling="gem")
