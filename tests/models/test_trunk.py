"""A network in two halves is the whole network, bit for bit, or it is not split and says why."""

import copy

import pytest
import timm
import torch
from torch import Tensor, nn

from embedders import FAMILIES, family, make, pictures
from lookalike.errors import LookalikeError
from lookalike.models.embedder import Embedder, stage_names
from lookalike.models.trunk import NotSplitError, frozen_trunk

# One network of each family, with its middle stage: everything from there on is trained.
MIDDLES = {
    "test_vit": "blocks.3",  # class token, learnt positions
    "test_vit2": "blocks.4",  # registers, average pooling
    "test_vit3": "blocks.5",  # attention pooling, as SigLIP
    "test_vit4": "blocks.4",
    "test_vit_relpos": "blocks.5",
    "vit_tiny_r_s16_p8_224": "blocks.6",  # convolutions in front
    "deit_tiny_distilled_patch16_224": "blocks.6",
    "eva02_tiny_patch14_224": "blocks.6",  # rotary positions
    "vit_small_patch16_dinov3": "blocks.6",
    "swin_tiny_patch4_window7_224": "layers.2",
    "hiera_tiny_224": "blocks.5",
    "cait_xxs24_224": "blocks.12",
    "test_maxvit": "stages.2",
    "test_coatnet": "stages.2",
    "test_mambaout": "stages.2",
    "test_convnext": "stages.2",
    "test_efficientnet": "blocks.2",
    "mobilenetv3_small_100": "blocks.3",
    "mobilenetv4_conv_small": "blocks.2",
    "regnetx_002": "s3",
    "test_resnet": "layer3.0",
    "test_nfnet": "stages.2",
    "test_byobnet": "stages.2",
}


def halved(backbone: str, end: str, seed: int = 0) -> tuple[Embedder, Tensor]:
    """Trained from a stage on, its weights far from where they start, and images."""
    names = stage_names(timm.create_model(backbone, num_classes=0))
    sequences = {name.partition(".")[0] for name in names if "." in name}
    trained = [name for name in names[names.index(end) :] if name not in sequences]
    embedder = make(backbone, trainable=[*trained, "head"], size=(64, 64))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in embedder.parameters():  # branches that start at zero would hide what enters them
            value += 0.02 * torch.randn(value.shape, generator=generator)
    for part in embedder.modules():
        if hasattr(part, "drop_prob"):
            part.drop_prob = 0.3
    return embedder, pictures(3, 64, seed=seed)


def gradients(embedder: Embedder, outputs: Tensor) -> dict[str, Tensor]:
    embedder.zero_grad()
    (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
    return {name: part.grad.clone() for name, part in embedder.named_parameters() if part.grad is not None}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", MIDDLES)
def test_halves_and_their_gradients_equal_the_whole_in_every_family(backbone: str, training: bool) -> None:
    embedder, images = halved(backbone, MIDDLES[backbone])
    embedder.train(training)
    assert (embedder.trunk_end, embedder.not_split) == (MIDDLES[backbone], None)
    modes = {name: part.training for name, part in embedder.named_modules()}
    twin = copy.deepcopy(embedder)  # batch norm counts what it sees
    torch.manual_seed(1)
    whole = embedder(images)
    with torch.no_grad():
        features = twin.trunk(images)
    assert isinstance(features, Tensor)
    assert len(features) == 3
    torch.manual_seed(1)  # stochastic depth and dropout of the trained part
    rest = twin.rest(features)
    assert torch.equal(rest, whole)
    expected, theirs = gradients(embedder, whole), gradients(twin, rest)
    assert expected.keys() == theirs.keys() == {n for n, p in embedder.named_parameters() if p.requires_grad}
    assert all(torch.equal(theirs[name], value) for name, value in expected.items())
    assert {name: part.training for name, part in twin.named_modules()} == modes
    state = twin.state_dict()
    assert all(torch.equal(state[name], value) for name, value in embedder.state_dict().items())


@pytest.mark.parametrize("backbone", ["test_vit", "eva02_tiny_patch14_224", "deit_tiny_distilled_patch16_224"])
def test_features_of_one_batch_are_the_rest_of_another(backbone: str) -> None:
    embedder, images = halved(backbone, MIDDLES[backbone])
    embedder.eval()
    with torch.no_grad():
        features = embedder.trunk(images)
        for rows in ([1], [2, 0, 1, 1, 0]):
            assert torch.allclose(embedder.rest(features[rows]), embedder(images[rows]), atol=1e-4)
            assert torch.equal(embedder.rest(embedder.trunk(images[rows])), embedder(images[rows]))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backbone", FAMILIES)
def test_trunk_and_rest_equal_the_whole_bit_for_bit(backbone: str, training: bool) -> None:
    embedder, images = family(backbone).train(training), pictures(2, 224, seed=3)
    assert embedder.trunk_end == FAMILIES[backbone][1]
    with torch.no_grad():
        features, whole = embedder.trunk(images), embedder(images)
        assert torch.equal(embedder.rest(features), whole)
        assert torch.equal(embedder(images), whole)  # the bypass is undone


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "vit_small_patch16_dinov3"])
def test_transformers_are_split_at_the_size_they_are_built_for(backbone: str) -> None:
    embedder = make(backbone, trainable=["blocks.11", "norm", "head"], size=(128, 64)).eval()
    images = pictures(2, 128)[:, :, :64]
    with torch.no_grad():
        features = embedder.trunk(images)
        assert torch.equal(embedder.rest(features), embedder(images))
        with pytest.raises(ValueError, match=r"expected \[\d+, \d+\] of an image, found \[3, \d+\]"):
            embedder.rest(features[:, :3])
        with pytest.raises(ValueError, match=r"expected images of \(128, 64\) pixels, found \(64, 128\)"):
            embedder.trunk(images.transpose(1, 2))


def test_a_broken_off_pass_leaves_the_network_whole() -> None:
    for backbone, stage in (("test_resnet", "layer4"), ("test_vit", "blocks.4")):
        embedder, images = make(backbone, trainable=[stage, "head"]).eval(), pictures(2, 160)
        with torch.no_grad():
            whole = embedder(images)
            with pytest.raises((RuntimeError, ValueError)):
                embedder.rest(torch.zeros(2, 1, 3, 3))  # features of another network
            assert torch.equal(embedder(images), whole)
            assert torch.equal(embedder.rest(embedder.trunk(images)), whole)
        hooks = [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in embedder.modules()]
        assert not any(hooks)


@pytest.mark.parametrize("trainable", [["all"], None, ["conv1"], ["all", "layer4"]])
def test_without_a_frozen_stage_in_front_there_is_no_trunk(trainable: list[str] | None) -> None:
    embedder = make("test_resnet", trainable=trainable)
    assert (embedder.trunk_end, embedder.last_frozen, embedder.not_split) == (None, None, None)
    with pytest.raises(AssertionError, match="a network that has none"):
        embedder.trunk(pictures(2))
    with pytest.raises(AssertionError, match="a network that has no trunk"):
        embedder.rest(pictures(2))


@pytest.mark.parametrize(
    ("backbone", "trainable", "last"),
    [
        ("test_vit", ["blocks.4", "head"], "blocks.3"),
        ("test_vit", ["norm", "head"], "blocks"),
        ("test_vit3", ["attn_pool", "head"], "norm"),
        ("test_vit", ["blocks.0"], "patch_embed"),
        ("test_resnet", ["layer4"], "layer3"),
    ],
)
def test_the_last_frozen_stage_is_named(backbone: str, trainable: list[str], last: str) -> None:
    assert make(backbone, trainable=trainable).last_frozen == last


class Block(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, features: Tensor, more: Tensor | float = 0.0) -> Tensor:
        return self.linear(features) + more


class Backbone(nn.Module):
    """Three stages of which the last is trained; `forward` is each test's own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.middle, self.last = nn.Conv2d(3, 8, 4, 4), Block(), Block()
        self.gamma = nn.Parameter(torch.zeros(8))
        for part in (self.stem, self.middle):
            part.requires_grad_(False)
        self.gamma.requires_grad_(False)

    def tokens(self, pixels: Tensor) -> Tensor:
        return self.stem(pixels).flatten(2).transpose(1, 2)


class Plain(Backbone):
    def forward(self, pixels: Tensor) -> Tensor:
        return self.last(self.middle(self.tokens(pixels))).mean(1)


class Skips(Backbone):
    """A branch around the middle that starts at zero: weights as they start would hide it."""

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.tokens(pixels)
        return (self.last(self.middle(tokens)) + self.gamma * tokens).mean(1)


class Twice(Backbone):
    def forward(self, pixels: Tensor) -> Tensor:
        return self.last(self.middle(self.middle(self.tokens(pixels)))).mean(1)


class Unseen(Backbone):
    def forward(self, pixels: Tensor) -> Tensor:
        return self.last.linear(self.middle(self.tokens(pixels))).mean(1)


class Depends(Backbone):
    """What the last stage is given beside its input is made from the pixels."""

    def forward(self, pixels: Tensor) -> Tensor:
        return self.last(self.middle(self.tokens(pixels)), pixels.mean()).mean(1)


class Rows(Backbone):
    """The patches of all images are rows before the last stage, as windows of a window attention would be."""

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.middle(self.tokens(pixels))
        return self.last(tokens.flatten(0, 1)).view_as(tokens).mean(1)


class Constant(Backbone):
    """A table that a module makes from nothing, for stages on both sides."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table()

    def forward(self, pixels: Tensor) -> Tensor:
        table = self.table()
        return self.last(self.middle(self.tokens(pixels), more=table), more=table).mean(1)


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(1, 16, 8), requires_grad=False)

    def forward(self) -> Tensor:
        return 2 * self.positions


@pytest.mark.parametrize("kind", [Plain, Constant])
def test_only_what_needs_no_more_than_the_features_is_split(kind: type[Backbone]) -> None:
    torch.manual_seed(0)
    backbone, pixels = kind().eval(), torch.rand(3, 3, 16, 16)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    trunk = frozen_trunk(backbone, (16, 16))
    assert trunk is not None
    assert trunk.end.name == "last"
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    for value in backbone.parameters():
        value.data += torch.rand_like(value)
    assert torch.equal(trunk.rest(backbone, trunk.run(backbone, pixels)), backbone(pixels))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Skips, r"^at last: what is behind needs more than what enters it$"),
        (Depends, r"^at last: what is behind needs more than what enters it$"),
        (Rows, r"^at last: what enters it has not one row per image$"),
        (Twice, r"^a stage runs more than once before last$"),
        (Unseen, r"^what is trained is no stage that runs by itself$"),
    ],
)
def test_what_is_not_split_says_why_and_stays_as_it_was(kind: type[Backbone], reason: str) -> None:
    torch.manual_seed(0)
    backbone = kind().train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(NotSplitError, match=reason) as caught:
        frozen_trunk(backbone, (16, 16))
    assert isinstance(caught.value, LookalikeError)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(part.training for part in backbone.modules())
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in backbone.modules())
