import pytest
import torch
from torch import nn

from lookalike.errors import ModelError
from lookalike.models.networks.clip_towers import (
    AttentionPool,
    ClipOptions,
    ClipResidual,
    ClipTransformer,
    JoinedAttention,
)
from small_networks import fill, idle, pixels

TRANSFORMER = ClipOptions(size=(64, 32), stride=12, width=64, depth=2, projection=24)
RESIDUAL = ClipOptions(size=(64, 32), width=8, layers=(1, 1, 1, 1), projection=24)


class Both(nn.Module):
    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat(self.tower(images), 1)


@pytest.mark.parametrize(
    ("tower", "widths"), [(ClipTransformer(TRANSFORMER), (64, 24)), (ClipResidual(RESIDUAL), (256, 24))]
)
def test_every_weight_matters(tower: ClipTransformer | ClipResidual, widths: tuple[int, int]) -> None:
    fill(tower)
    assert tower.widths == widths
    assert tuple(part.shape for part in tower(pixels())) == tuple((2, width) for width in widths)
    assert idle(Both(tower), pixels()) == []
    with pytest.raises(ModelError, match=r"made for 64 x 32 pixels, found 32 x 32: give pixels\.height=64"):
        tower(pixels(32, 32))


def test_attention_is_torchs() -> None:
    theirs = fill(nn.MultiheadAttention(24, 3, batch_first=True))
    ours = JoinedAttention(24, 3)
    ours.load_state_dict(theirs.state_dict())
    tokens = torch.randn(2, 5, 24)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0], rtol=1e-4, atol=1e-5)


def test_pooling_attends_from_the_mean_of_all_places() -> None:
    pool = fill(AttentionPool(places=6, channels=8, heads=2, projection=3))
    features = torch.randn(2, 8, 3, 2)
    tokens = torch.cat([features.flatten(2).mean(2)[:, :, None], features.flatten(2)], 2).permute(2, 0, 1)
    tokens = tokens + pool.positional_embedding[:, None]
    made, _ = nn.functional.multi_head_attention_forward(
        *(tokens, tokens, tokens, 8, 2, None),
        torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]),
        *(None, None, False, 0.0, pool.c_proj.weight, pool.c_proj.bias),
        training=False,
        need_weights=False,
        use_separate_proj_weight=True,
        q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight,
        v_proj_weight=pool.v_proj.weight,
    )
    torch.testing.assert_close(pool(features), made[0], rtol=1e-4, atol=1e-5)
