import pytest
import torch

from lookalike.models.networks.pooling import POOLS, GeneralisedMeanPool

FEATURES = torch.tensor([[[[0.0, 2.0], [-1.0, 4.0]], [[0.5, 0.5], [0.5, 0.5]]]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GlobalAvgPool", [1.25, 0.5]),
        ("FastGlobalAvgPool", [1.25, 0.5]),
        ("GlobalMaxPool", [4.0, 0.5]),
        ("AdaptiveAvgMaxPool", [5.25, 1.0]),
        ("ClipGlobalAvgPool", [1.0, 0.5]),
        ("GeneralizedMeanPooling", [((8 + 64) / 4) ** (1 / 3), 0.5]),
        ("GeneralizedMeanPoolingP", [((8 + 64) / 4) ** (1 / 3), 0.5]),
    ],
)
def test_pools(name: str, expected: list[float]) -> None:
    torch.testing.assert_close(POOLS[name]()(FEATURES), torch.tensor([expected]))


def test_only_a_learned_power_is_a_tensor_of_the_file() -> None:
    assert {name: tuple(value.shape) for name, value in GeneralisedMeanPool().state_dict().items()} == {"p": (1,)}
    assert not GeneralisedMeanPool(learned=False).state_dict()


def test_one_place_stays_as_it_is() -> None:
    features = torch.randn(2, 5, 1, 1)
    torch.testing.assert_close(POOLS["Identity"]()(features), features[:, :, 0, 0])
