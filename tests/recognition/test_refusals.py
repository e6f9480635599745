"""What is damaged, mixed or not known is refused with what was recognised, and what would settle it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from lookalike.errors import LookalikeError
from lookalike.recognition.network import network_of
from lookalike.recognition.recognise import Given, recognise
from outlines import Tensors, blank, renamed, tensors_of, without, written

SMALL = "test_resnet"
Write = Callable[[Path], Path]


def state(tensors: Tensors) -> Write:
    return lambda folder: written({"state_dict": tensors}, folder)


def raw(content: bytes, name: str = "file.pth") -> Write:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def cut(tensors: Tensors, share: float) -> Write:
    def write(folder: Path) -> Path:
        file = written(tensors, folder)
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
        return file

    return write


def cut_safetensors(folder: Path) -> Path:
    content = save({name: tensor.contiguous() for name, tensor in tensors_of(SMALL).items()})
    (folder / "file.safetensors").write_bytes(content[:-100])
    return folder / "file.safetensors"


def program(folder: Path) -> Path:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(folder / "file.pt"))
    return folder / "file.pt"


def with_numbers(name: str, value: float) -> Write:
    def write(folder: Path) -> Path:
        tensors = {there: tensor.clone() for there, tensor in tensors_of(SMALL).items()}
        tensors[name] = torch.full(tensors[name].shape, value)
        return written(tensors, folder)

    return write


def typed(names: str, dtype: torch.dtype) -> Tensors:
    return {
        name: blank(tuple(tensor.shape), dtype) if names in name else tensor
        for name, tensor in tensors_of("resnet18").items()
    }


RESNET = tensors_of("resnet18")
VIT = tensors_of("vit_tiny_patch16_224")
DETECTOR = {
    **tensors_of("resnet18", "backbone.body."),
    **{f"backbone.fpn.inner_blocks.{place}.weight": blank((256, 64 << place, 1, 1)) for place in range(4)},
    "rpn.head.conv.weight": blank((256, 256, 3, 3)),
}
SEGMENTER = {**RESNET, "aspp.convs.0.0.weight": blank((256, 512, 1, 1)), "decoder.conv.weight": blank((21, 256, 3, 3))}
LANGUAGE = {
    "embeddings.word_embeddings.weight": blank((30522, 768)),
    **{f"encoder.layer.{i}.attention.self.query.weight": blank((768, 768)) for i in range(12)},
}
PROJECTOR = {**RESNET, "projector.0.weight": blank((512, 512)), "projector.2.weight": blank((128, 512))}
TWO = {**tensors_of("resnet18", "image_a."), **tensors_of("resnet18", "image_b.")}
LORA = {f"base_model.blocks.{i}.attn.qkv.lora_{side}.weight": blank((8, 192)) for i in range(12) for side in "AB"}
CUSTOM = {**RESNET, **{name.replace("layer1.1", "layer1.2"): t for name, t in RESNET.items() if "layer1.1" in name}}
WIDER = {name: blank((*tensor.shape[:-1], 5)) if name == "conv1.weight" else tensor for name, tensor in RESNET.items()}
OTHER_WINDOW = {
    name: blank((225, *tensor.shape[1:])) if "bias_table" in name else tensor
    for name, tensor in tensors_of("swin_tiny_patch4_window7_224").items()
}
CASES: dict[str, tuple[Write, dict[str, Any], str]] = {
    "empty": (raw(b""), {}, r"an empty file"),
    "a web page": (raw(b"<html><body>404</body></html>"), {}, r"a web page"),
    "a pointer of git-lfs": (raw(b"version https://git-lfs.github.com/spec/v1\n"), {}, r"run git lfs pull"),
    "cut in the middle": (cut(RESNET, 0.5), {}, r"not readable as plain tensors"),
    "cut at the end": (cut(RESNET, 0.99), {}, r"not readable as plain tensors"),
    "cut safetensors": (cut_safetensors, {}, r"not readable as plain tensors"),
    "a TorchScript program": (program, {}, r"a TorchScript program"),
    "not a file": (lambda folder: folder / "none.pth", {}, r"no such file"),
    "a folder": (lambda folder: folder, {}, r"found a folder"),
    "no tensors": (lambda folder: written({"epoch": 3, "lr": 0.1}, folder), {}, r"found no named tensors"),
    "an optimiser alone": (lambda folder: written({"optimizer": {"state": {}}}, folder), {}, r"found no named tensors"),
    "nan": (with_numbers("layer1.0.conv1.weight", float("nan")), {}, r"found nan or inf in 1 tensors \(.*layer1"),
    "infinite": (with_numbers("layer4.0.bn1.running_var", float("inf")), {}, r"found nan or inf"),
    "a LoRA adapter": (state(LORA), {}, r"24 tensors of a LoRA adapter .*merge_and_unload"),
    "a LoRA adapter beside its network": (state({**VIT, **LORA}), {}, r"LoRA adapter"),
    "weights of 8 bits": (state(typed("conv", torch.int8)), {}, r"quantised ones \(conv1\.weight"),
    "weights of 4 bits": (
        state({**VIT, "blocks.0.mlp.fc1.weight.absmax": blank((64,))}),
        {},
        r"quantised ones \(blocks\.0\.mlp\.fc1\.weight\.absmax",
    ),
    "packed weights": (state({**RESNET, "fc._packed_params.dtype": blank((1,))}), {}, r"quantised ones"),
    "without the last stage": (
        state(without(RESNET, "layer4")),
        {},
        r"nearest is resnet\w*.*layer4\.0\.\S+ is missing",
    ),
    "without one tensor": (state(without(RESNET, "layer3.1.bn2.bias")), {}, r"layer3\.1\.bn2\.bias is missing"),
    "one tensor of another shape": (state(WIDER), {}, r"conv1\.weight is 64 x 3 x 7 x 5, resnet\w* has 64 x 3 x 7 x 7"),
    "a block too many": (state(CUSTOM), {}, r"recognised resnet18, but not 10 other tensors: layer1\.2\."),
    "a detector": (state(DETECTOR), {}, r"recognised resnet18, but not \d other tensors: backbone\.fpn"),
    "a segmenter": (state(SEGMENTER), {}, r"recognised resnet18, but not 2 other tensors: aspp"),
    "a language model": (state(LANGUAGE), {}, r"no network that is known here is wholly in it"),
    "two networks": (state(TWO), {}, r"several networks in it: .*ckpt_key=image_a or ckpt_key=image_b"),
    "padding unknown": (
        state(tensors_of("efficientnet_b0")),
        {},
        r"efficientnet_b0 and tf_efficientnet_b0 have the same tensors .*give model\.backbone=efficientnet_b0 or",
    ),
    "activation unknown": (state(tensors_of("vit_base_patch32_clip_224")), {}, r"vit_base_patch32_clip_quickgelu_224"),
    "scaling unknown": (
        state(VIT),
        {},
        r"does not say how its pixels were scaled: give model\.mean=.*deit_tiny_patch16_224 has",
    ),
    "a layer that may be a classifier": (
        state({**RESNET, "fc.weight": blank((128, 512)), "fc.bias": blank((128,))}),
        {},
        r"fc \(128 x 512\) may be its head or a classifier.*model\.embedding_size=128 .*model\.embedding_size=null",
    ),
    "a projector of two layers": (state(PROJECTOR), {}, r"several linear layers \(projector\.0, projector\.2\)"),
    "a neck of another width": (
        state({**RESNET, "bottleneck.running_mean": blank((256,)), "bottleneck.weight": blank((256,))}),
        {},
        r"recognised resnet18, but not 2 other tensors: bottleneck",
    ),
    "another backbone given": (
        state(RESNET),
        {"model": {"backbone": "resnet50"}},
        r"model\.backbone=resnet50: its ten",
    ),
    "a stride given to a transformer": (state(VIT), {"model": {"last_stride": 1}}, r"model\.last_stride: expected a R"),
    "no such set of weights": (state(RESNET), {"key": "ema"}, r"ckpt_key=ema: no such weights"),
    "windows of another size": (
        state(OTHER_WINDOW),
        {},
        r"relative_position_bias_table is 225 x 3, swin_\w+ has 169 x 3: its windows",
    ),
    "names of another framework": (
        state(renamed(RESNET, {"conv": "Conv_", "weight": "kernel"})),
        {},
        r"no network that is known here",
    ),
    "a fast-reid network with a layer more": (
        state(
            {
                **tensors_of("resnet18", "backbone."),
                "heads.weight": blank((9, 512)),
                "heads.bottleneck.0.running_mean": blank((512,)),
                "heads.bottleneck.0.running_var": blank((512,)),
                "heads.bottleneck.0.weight": blank((512,)),
                "heads.bottleneck.0.bias": blank((512,)),
                "heads.attention.conv.weight": blank((512, 512, 3, 3)),
            }
        ),
        {},
        r"recognised resnet18 of fast-reid, but not 1 other tensors: heads\.attention",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_damaged_mixed_or_unknown_is_refused(case: str, tmp_path: Path) -> None:
    write, given, text = CASES[case]
    file = write(tmp_path)
    with pytest.raises(LookalikeError, match=text) as caught:
        network_of(*recognise(file, Given(**given)))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert str(caught.value).startswith(f"{file}: ")


def test_there_are_thirty_of_them() -> None:
    assert len(CASES) >= 30
