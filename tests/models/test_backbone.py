"""Backbones at sizes that they were not made for, and weights of another size."""

from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from torch import nn

from lookalike.errors import ModelError
from lookalike.models.backbone import made_for, make_backbone, own_size, resampled
from lookalike.models.embedder import Embedder
from lookalike.models.foreign import load_foreign
from lookalike.models.pretrained import load_pretrained

PERSON = (256, 128)
PERSONS = torch.randint(0, 256, (2, *PERSON, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def embedding_of(embedder: Embedder, images: torch.Tensor = PERSONS) -> torch.Tensor:
    with torch.no_grad():
        return embedder.eval().embed(images)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "test_vit3", "visformer_tiny", "coatnet_pico_rw_224"])
def test_networks_made_for_one_size_are_built_for_another(name: str) -> None:
    backbone = make_backbone(name, PERSON)
    assert made_for(backbone) == PERSON
    assert backbone.training
    assert backbone.eval()(torch.zeros(1, 3, *PERSON)).isfinite().all()
    assert made_for(make_backbone(name, own_size(backbone))) is None
    embedder = Embedder(name, 16, size=PERSON)
    assert embedding_of(embedder).shape == (2, 16)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "mobilevit_xxs", "test_vit", "xcit_nano_12_p16_224"])
def test_networks_that_run_at_a_size_stay_as_they_were(name: str) -> None:
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=0).state_dict()
    torch.manual_seed(0)
    backbone = make_backbone(name, PERSON)
    assert made_for(backbone) is None
    state = backbone.state_dict()
    assert state.keys() == plain.keys()
    assert all(torch.equal(state[key], plain[key]) for key in plain), "the same weights, random numbers and statistics"


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        (
            "efficientformer_l1",
            PERSON,
            r"^model\.backbone=efficientformer_l1: expected images of 224 x 224 pixels, which it runs at, found 256",
        ),
        (
            "eca_halonext26ts",
            PERSON,
            r"expected images of 256 x 256 .*found 256 x 128: give pixels\.height and pixels\.w",
        ),
        ("nest_tiny", PERSON, r"expected images of 224 x 224 or 256 x 256 pixels"),
        (
            "vit_small_patch16_dinov3",
            (250, 250),
            r"^model\.backbone=vit_small_patch16_dinov3: expected images of 256 x 256 pixels, .* found 250 x 250: give",
        ),
        ("vit_small_patch14_dinov2", (8, 8), r"expected images of 518 x 518 or 32 x 32 .* found 8 x 8: give pixels\.h"),
    ],
)
def test_sizes_that_are_impossible_are_refused_with_some_that_work(name: str, size: tuple[int, int], text: str) -> None:
    with pytest.raises(ModelError, match=text) as caught:
        Embedder(name, 16, size=size)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("name", ["hf-hub:timm/resnet18.a1_in1k", "hf_hub:timm/resnet18.a1_in1k", "local-dir:/nowhere"])
def test_names_of_the_hub_are_timms_affair_and_fail_in_one_line(
    name: str, offline: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ModelError, match=rf"^model\.backbone={name}: .+: check the name and the connection, or"
    ) as caught:
        make_backbone(name)
    assert "\n" not in str(caught.value)
    assert offline == constants.HF_HUB_OFFLINE, "a later look may find the hub"


def test_position_embeddings_of_a_file_are_brought_to_the_size(tmp_path: Path) -> None:
    source = timm.create_model("vit_tiny_patch16_224", num_classes=1000)
    ramp = torch.linspace(-1, 1, 14)[:, None].expand(14, 14).reshape(1, 196, 1)  # from top to bottom
    source.pos_embed.data[:, 1:] = ramp
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    backbone = make_backbone("vit_tiny_patch16_224", PERSON)
    load_pretrained(backbone, "vit_tiny_patch16_224", str(tmp_path / "vit.pth"))
    grid = backbone.pos_embed[0, 1:, 0].reshape(16, 8)
    assert (grid.diff(dim=0) > 0).all()
    assert grid.std(dim=1).max() < 1e-5
    assert torch.equal(backbone.pos_embed[:, :1], source.pos_embed[:, :1])
    assert torch.equal(backbone.blocks[3].mlp.fc1.weight, source.blocks[3].mlp.fc1.weight)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_checkpoints_of_another_size_give_nearly_the_same_embeddings(tmp_path: Path, name: str) -> None:
    torch.manual_seed(0)
    theirs = Embedder(name, 16, size=(224, 224))
    torch.save({"state_dict": {f"net.{key}": value for key, value in theirs.state_dict().items()}}, tmp_path / "x.ckpt")
    ours = Embedder(name, 16, size=PERSON)
    match = load_foreign(ours, tmp_path / "x.ckpt")
    assert not match.reshaped
    assert torch.equal(ours.head.weight, theirs.head.weight)
    square = nn.functional.interpolate(PERSONS.permute(0, 3, 1, 2).float(), (224, 224), mode="bilinear")
    square = square.round().to(torch.uint8).permute(0, 2, 3, 1)
    assert (embedding_of(ours) * embedding_of(theirs, square)).sum(1).min() > 0.5


def test_checkpoints_of_this_size_are_taken_as_they_are(tmp_path: Path) -> None:
    theirs = Embedder("vit_tiny_patch16_224", 16, size=PERSON)
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    ours = Embedder("vit_tiny_patch16_224", 16, size=PERSON)
    load_foreign(ours, tmp_path / "x.pth")
    assert torch.equal(embedding_of(ours), embedding_of(theirs))


def test_a_grid_that_is_not_square_is_not_guessed(tmp_path: Path) -> None:
    """128 positions: 16 x 8, 8 x 16, 32 x 4?"""
    theirs = Embedder("vit_tiny_patch16_224", 16, size=PERSON)
    torch.save(theirs.state_dict(), tmp_path / "x.pth")
    ours = Embedder("vit_tiny_patch16_224", 16, size=(224, 224))
    tensors = {name.removeprefix("backbone."): value for name, value in theirs.state_dict().items()}
    assert resampled(ours.backbone, tensors) == tensors
    with pytest.raises(
        ModelError,
        match=r"x\.pth: .*backbone\.pos_embed \(file 1 x 129 x 192, here 1 x 197 x 192\).*trained on images of another",
    ):
        load_foreign(ours, tmp_path / "x.pth")
    torch.save(theirs.backbone.state_dict(), tmp_path / "y.pth")
    backbone = make_backbone("vit_tiny_patch16_224", (128, 128))
    with pytest.raises(
        ModelError,
        match=r"y\.pth: 1 of 150 .*pos_embed.*or of another image size, and cannot be brought to 128 x 128: give",
    ):
        load_pretrained(backbone, "vit_tiny_patch16_224", str(tmp_path / "y.pth"))
