import pytest
import torch

from lookalike.models.networks.omni_scale import OmniScaleNetwork, OmniScaleOptions, OmniScaleTrunk
from small_networks import count, fill, idle, pixels

WIDTHS = {"x1_0": (64, 256, 384, 512), "x0_75": (48, 192, 288, 384), "x0_5": (32, 128, 192, 256)}
SMALLEST = (16, 64, 96, 128)  # x0_25


@pytest.mark.parametrize("kind", ["plain", "ibn", "ain"])
def test_every_weight_matters(kind: str) -> None:
    network = fill(OmniScaleNetwork(OmniScaleOptions(SMALLEST, kind, 32)))  # type: ignore[arg-type]
    assert network(pixels()).shape == (2, 32)
    for name, bias in network.named_parameters():
        if name.endswith("gate.fc1.bias"):  # one or two channels, which a relu may silence
            torch.nn.init.ones_(bias)
    assert idle(network, pixels()) == []


def test_the_embedding_is_rectified() -> None:
    embedding = fill(OmniScaleNetwork(OmniScaleOptions(SMALLEST)))(pixels())
    assert embedding.min() == 0
    assert 0.2 < (embedding > 0).float().mean() < 0.9


@pytest.mark.parametrize(
    ("channels", "millions"),
    [(WIDTHS["x1_0"], 2.2), (WIDTHS["x0_75"], 1.3), (WIDTHS["x0_5"], 0.6), (SMALLEST, 0.2)],
)  # KaiyangZhou/deep-person-reid, docs/MODEL_ZOO.md, "# Param"
def test_parameters_are_as_many_as_torchreid_states(channels: tuple[int, ...], millions: float) -> None:
    with torch.device("meta"):
        networks = [OmniScaleNetwork(OmniScaleOptions(channels, kind)) for kind in ("plain", "ibn", "ain")]  # type: ignore[arg-type]
    assert [round(count(network) / 1e6, 1) for network in networks] == [millions] * 3


def test_norms_stand_where_the_kind_has_them() -> None:
    with torch.device("meta"):
        names = {
            kind: {name.rpartition(".")[0] for name in OmniScaleTrunk(OmniScaleOptions(SMALLEST, kind)).state_dict()}  # type: ignore[arg-type]
            for kind in ("plain", "ibn", "ain")
        }
    assert not {name for name in names["plain"] if name.endswith(".IN")}
    assert {name for name in names["ibn"] if name.endswith(".IN")} == {"conv2.0.IN", "conv2.1.IN"}
    inside = {"conv2.0.IN", "conv2.1.IN", "conv3.1.IN", "conv4.0.IN"}
    assert {name for name in names["ain"] if name.endswith(".IN")} == inside
    assert {name for name in names["ain"] if name.endswith("conv3.bn")} == {"conv3.0.conv3.bn", "conv4.1.conv3.bn"}
