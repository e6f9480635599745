import pytest
import torch

from lookalike.errors import ModelError
from lookalike.models.networks.fast_reid import EmbeddingHead, FastReidNetwork
from lookalike.models.networks.residual import ResidualTrunk
from small_networks import TINY, fill, idle, pixels, shapes_of


@pytest.mark.parametrize(
    ("reduced", "neck", "names"),
    [
        (None, True, {"bottleneck.0.weight": (512,)}),
        (24, True, {"bottleneck.0.weight": (24, 512, 1, 1), "bottleneck.1.weight": (24,)}),
        (24, False, {"bottleneck.0.weight": (24, 512, 1, 1)}),
        (None, False, {}),
    ],
)
def test_the_head_has_the_names_of_fast_reid(
    reduced: int | None, neck: bool, names: dict[str, tuple[int, ...]]
) -> None:
    network = fill(FastReidNetwork(ResidualTrunk(TINY), EmbeddingHead(512, "GeneralizedMeanPoolingP", reduced, neck)))
    weights = {
        name: shape for name, shape in shapes_of(network).items() if name.startswith("heads.") and "ight" in name
    }
    assert weights == {f"heads.{name}": shape for name, shape in names.items()}
    assert shapes_of(network)["heads.pool_layer.p"] == (1,)
    assert network(pixels()).shape == (2, network.embedding_size) == (2, reduced or 512)
    assert idle(network, pixels()) == []


def test_a_backbone_may_give_one_vector() -> None:
    head = fill(EmbeddingHead(8, "Identity"))
    network = FastReidNetwork(torch.nn.Identity(), head)
    features = torch.randn(2, 8)
    torch.testing.assert_close(network(features), head(features[:, :, None, None]))


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ModelError, match=r"POOL_LAYER=GlobalAvgPol: expected one of .*GlobalAvgPool"):
        EmbeddingHead(8, "GlobalAvgPol")
