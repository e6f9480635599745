import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lookalike.models.checkpoint_tensors import read_weights
from lookalike.models.networks.assembled import assembled, transformer_options
from lookalike.models.networks.clip_reid import ClipReid
from lookalike.models.networks.clip_towers import ClipOptions, ClipResidual, ClipTransformer
from lookalike.models.networks.fast_reid import EmbeddingHead, FastReidNetwork
from lookalike.models.networks.layumi import FtNet, PartNet
from lookalike.models.networks.omni_scale import OmniScaleNetwork, OmniScaleOptions, OmniScaleTrunk
from lookalike.models.networks.pooled_residual import PooledResidual, StripedResidual
from lookalike.models.networks.residual import ResidualTrunk
from lookalike.models.networks.side_transformer import SideTransformer, TransformerOptions
from lookalike.models.networks.strong_baseline import StrongBaseline
from lookalike.models.networks.trans_reid import TransReid, TransReidLocal
from small_networks import TINY, fill, pixels, shapes_of

ONE = replace(TINY, last_stride=1)
BARE = replace(ONE, stem_relu=False)
UNPADDED = replace(ONE, padded_pool=False)
OSNET = OmniScaleOptions((16, 64, 96, 128), "ain", 32)
VIT = TransformerOptions(size=(64, 32), stride=(12, 12), width=64, depth=2, heads=1, sides=3)
CLIP = ClipOptions((64, 32), 16, 16, 64, 2, projection=24)
CLASSES = {"classifier.weight": (5, 9), "classifier.bias": (5,)}
STRIPES = {**{f"classifier.{number}.weight": (5, 8) for number in range(2)}, "conv5.layers.0.weight": (8, 512, 1, 1)}
BLOCK_OF_PARTS = {f"classifier{number}.add_block.0.weight": (8, 512) for number in range(2)}
NETWORKS = {
    "torchreid": (PooledResidual(TINY), CLASSES),
    "torchreid with fc": (PooledResidual(ONE, 24), CLASSES),
    "torchreid osnet": (OmniScaleNetwork(OSNET), CLASSES),
    "torchreid pcb": (StripedResidual(ONE, 2), STRIPES),
    "fast-reid": (FastReidNetwork(ResidualTrunk(UNPADDED), EmbeddingHead(512)), {"heads.weight": (5, 512)}),
    "fast-reid reduced": (
        FastReidNetwork(ResidualTrunk(UNPADDED), EmbeddingHead(512, "GeneralizedMeanPoolingP", 24)),
        {"heads.weight": (5, 24), "pixel_mean": (1, 3, 1, 1)},
    ),
    "fast-reid osnet": (
        FastReidNetwork(OmniScaleTrunk(replace(OSNET, embedding_size=512)), EmbeddingHead(128)),
        {"heads.weight": (5, 128)},
    ),
    "fast-reid vit": (
        FastReidNetwork(SideTransformer(replace(VIT, sides=0)), EmbeddingHead(64)),
        {"heads.weight": (5, 64)},
    ),
    "reid-strong-baseline": (StrongBaseline(ResidualTrunk(BARE)), CLASSES),
    "reid-strong-baseline ibn": (StrongBaseline(ResidualTrunk(replace(ONE, ibn="a"))), CLASSES),
    "AGW": (StrongBaseline(ResidualTrunk(replace(BARE, non_local=(0, 1, 1, 0))), gem=True), CLASSES),
    "IBN-Net": (PooledResidual(replace(TINY, ibn="b")), {"fc.weight": (9, 512), "fc.bias": (9,)}),
    "layumi": (FtNet(TINY, 24), {"classifier.classifier.0.weight": (5, 24), "model.fc.weight": (9, 512)}),
    "layumi PCB": (PartNet(ONE, 2), BLOCK_OF_PARTS),
    "TransReID": (TransReid(VIT), CLASSES),
    "TransReID local": (TransReidLocal(VIT), {**CLASSES, "base.fc.weight": (9, 64)}),
    "CLIP-ReID": (ClipReid(ClipTransformer(CLIP), sides=3), {"text_encoder.ln_final.weight": (64,)}),
    "CLIP-ReID RN50": (ClipReid(ClipResidual(replace(CLIP, width=8, layers=(1, 1, 1, 1)))), CLASSES),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("wrapper", ["", "module.", "model.net."])
def test_a_network_comes_back_from_its_names_and_shapes(name: str, wrapper: str) -> None:
    network, behind = NETWORKS[name]
    shapes = {f"{wrapper}{key}": shape for key, shape in {**shapes_of(network), **behind}.items()}
    made = assembled(shapes, (64, 32))
    assert made is not None
    assert made.prefix == wrapper
    assert name.startswith(made.convention.project)
    assert set(made.unused) == {f"{wrapper}{key}" for key in behind}
    made.network.load_state_dict(fill(network).state_dict())
    sides = (torch.tensor([0, 2]),) if name in ("TransReID", "TransReID local", "CLIP-ReID") else ()
    torch.testing.assert_close(made.network.eval()(pixels(), *sides), network(pixels(), *sides))
    rules = made.with_rules().rules
    assert rules.flip == ("sum" if name.startswith("layumi") else "none")
    assert rules.parts == (2 if name == "layumi PCB" else 1)


def test_what_is_missing_or_of_another_shape_is_no_such_network() -> None:
    shapes = {**shapes_of(NETWORKS["fast-reid"][0]), "heads.weight": (5, 512)}
    assert assembled({name: shape for name, shape in shapes.items() if name != "backbone.layer2.1.bn2.bias"}) is None
    assert assembled({**shapes, "backbone.layer2.1.bn2.bias": (15,)}) is None
    assert assembled({}) is None
    assert assembled({"weight": (3, 3)}) is None
    plain = shapes_of(PooledResidual(TINY))
    assert assembled(plain) is None  # a bare ResNet is anybody's


LINEAR = {"weight": (24, 512), "bias": (24,)}
NORM = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (24,))


@pytest.mark.parametrize(
    "behind",
    [
        {"classifier.1.weight": (9, 512), "classifier.1.bias": (9,)},  # Sequential(Dropout, Linear)
        {"classifier.0.weight": (9, 512), "classifier.1.weight": (9, 9)},
        {name: shape for name, shape in STRIPES.items() if not name.startswith("classifier.0")},
        {**STRIPES, "classifier.1.weight": (9,)},
        {f"fc.0.{name}": shape for name, shape in LINEAR.items()} | {f"fc.1.{name}": (24,) for name in NORM},
        {f"fc.0.{name}": shape for name, shape in LINEAR.items()},
    ],
)
def test_a_resnet_with_a_head_of_its_own_is_none_of_torchreids(behind: dict[str, tuple[int, ...]]) -> None:
    assert assembled({**shapes_of(PooledResidual(ONE)), **behind}) is None


FIRST = ("conv1.weight", "layer1.0.conv2.weight")
KINDS = ("torchreid", "torchreid osnet", "fast-reid vit", "reid-strong-baseline", "CLIP-ReID", "CLIP-ReID RN50")


@pytest.mark.parametrize("name", KINDS)
def test_any_part_of_a_network_is_a_network_or_none(name: str) -> None:
    """Whatever is left out of a file, and whichever shapes are others, nothing fails."""
    network, behind = NETWORKS[name]
    shapes = {**shapes_of(network), **behind}
    chance = random.Random(0)
    stems = sorted({key.rpartition(".")[0] for key in shapes})
    first = [key for key in shapes if key.endswith(("proj", "embed", "ding")) or key in FIRST or key[5:] in FIRST]
    with torch.device("meta"):
        for _ in range(3):
            left = set(chance.sample(stems, chance.randrange(1, len(stems) + 1)))
            assembled({key: shape for key, shape in shapes.items() if key.rpartition(".")[0] in left}, (64, 32))
        for key in first:
            assembled({other: shape for other, shape in shapes.items() if other != key}, (64, 32))
            for other in ((), (0,) * len(shapes[key]), tuple(reversed(shapes[key]))):
                assembled({**shapes, key: other}, (64, 32))


def test_one_tensor_of_clip_alone_is_no_network() -> None:
    assert assembled({"image_encoder.proj": (64, 24)}) is None
    assert assembled({"image_encoder.attnpool.c_proj.weight": (24, 64)}) is None


def test_old_files_lack_the_count_of_batches() -> None:
    network, behind = NETWORKS["torchreid"]
    shapes = {**shapes_of(network), **behind}
    old = {name: shape for name, shape in shapes.items() if not name.endswith("num_batches_tracked")}
    assert assembled(old) is not None


def test_the_stride_between_patches_is_that_which_their_number_allows() -> None:
    for stride in (16, 12, 8):
        options = replace(VIT, stride=(stride, stride), sides=0)
        shapes = shapes_of(SideTransformer(options))
        assert transformer_options(shapes, (64, 32)) == options
        assert transformer_options(shapes, (512, 512)) is None


@pytest.mark.parametrize("form", ["zip", "before 1.6", "safetensors", "lightning", "wrapped"])
def test_any_form_of_file_gives_the_same_embedding(form: str, tmp_path: Path) -> None:
    network = fill(OmniScaleNetwork(OmniScaleOptions((16, 64, 96, 128))))
    network.classifier = nn.Linear(512, 5)
    state = network.state_dict()
    file = tmp_path / "model"
    if form == "safetensors":
        save_file(state, file)
    elif form == "lightning":
        own = {f"net.{name}": value for name, value in state.items()}
        torch.save({"state_dict": own, "epoch": 3, "pytorch-lightning_version": "2.6.0", "callbacks": {}}, file)
    elif form == "wrapped":
        torch.save({"model": {f"module.{name}": value for name, value in state.items()}, "iteration": 9}, file)
    else:
        buffer = io.BytesIO()
        torch.save({"state_dict": state, "rank1": 0.9}, buffer, _use_new_zipfile_serialization=form == "zip")
        file.write_bytes(buffer.getvalue())
    tensors = read_weights(file).tensors
    made = assembled({name: tuple(value.shape) for name, value in tensors.items()})
    assert made is not None
    made.network.load_state_dict({name: tensors[made.prefix + name] for name in made.network.state_dict()})
    torch.testing.assert_close(made.network.eval()(pixels()), network(pixels()))
