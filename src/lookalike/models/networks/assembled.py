"""The network of another project that the names and shapes of a file show, ready to take its tensors by name.

What leaves no trace in names and shapes is taken as the project has it: strides, poolings without a power, the relu of
a stem, which of two vectors is tested. See `conventions` for where each of these stands.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from lookalike.models.networks.clip_reid import ClipReid
from lookalike.models.networks.clip_towers import ClipOptions, ClipResidual, ClipTransformer
from lookalike.models.networks.conventions.agw import AGW
from lookalike.models.networks.conventions.clip_reid import CLIP_REID, CLIP_REID_RN50
from lookalike.models.networks.conventions.convention import Convention
from lookalike.models.networks.conventions.fast_reid import FAST_REID
from lookalike.models.networks.conventions.ibn_net import IBN_NET
from lookalike.models.networks.conventions.layumi import LAYUMI, LAYUMI_OTHERS, LAYUMI_PCB, LAYUMI_SWIN
from lookalike.models.networks.conventions.strong_baseline import STRONG_BASELINE
from lookalike.models.networks.conventions.torchreid import HACNN, PCB, TORCHREID
from lookalike.models.networks.conventions.trans_reid import TRANS_REID
from lookalike.models.networks.fast_reid import EmbeddingHead, FastReidNetwork
from lookalike.models.networks.harmonious import HarmoniousNetwork
from lookalike.models.networks.inference_rules import InferenceRules, WithRules
from lookalike.models.networks.layumi import FtNet, PartNet
from lookalike.models.networks.layumi_trunks import trunk_net
from lookalike.models.networks.multi_level import MultiLevelNetwork
from lookalike.models.networks.omni_scale import OmniScaleNetwork, OmniScaleOptions, OmniScaleTrunk
from lookalike.models.networks.pooled_residual import PooledResidual, StripedResidual
from lookalike.models.networks.residual import ResidualOptions, ResidualTrunk
from lookalike.models.networks.residual_names import residual_options
from lookalike.models.networks.side_transformer import SideTransformer, TransformerOptions
from lookalike.models.networks.strong_baseline import StrongBaseline
from lookalike.models.networks.trans_reid import TransReid, TransReidLocal

Shapes = Mapping[str, tuple[int, ...]]
Size = tuple[int, int]
Made = tuple[nn.Module, Convention] | None
_STRIDES = (16, 12, 14, 11, 10, 8, 18, 20, 32)  # between patches, those of published configurations first
_CLASSIFIER = r"classifier\.(\d+)\.weight"


@dataclass(frozen=True)
class Assembled:
    """A network and how it goes with a file.

    Attributes:
        convention: Of the project that wrote it.
        network: With random weights; every tensor of its state dict is in the file, under the same name and shape,
            behind `prefix`; batch norm's count of batches, which nothing reads, may be missing there.
        prefix: What a wrapper puts before all names in the file: `module.`, or `net.` of a Lightning module.
        unused: Names in the file that come behind the embedding: classifiers, text towers, weights of a loss.
    """

    convention: Convention
    network: nn.Module
    prefix: str
    unused: list[str]

    def with_rules(self) -> WithRules:
        """The network with what its project does around it."""
        way = self.convention
        return WithRules(self.network, InferenceRules(way.flip, way.scales, way.parts))


def assembled(shapes: Shapes, size: Size | None = None) -> Assembled | None:
    """Makes the network of a file, None where it is none that is known here or where a tensor is missing.

    Args:
        shapes: Name in the file -> shape.
        size: Height and width of the images, which tells how patches lie; None for the project's own.
    """
    prefix = _wrapper(list(shapes))
    inner = _under(shapes, prefix)
    for assemble in _PROJECTS:
        made = assemble(inner, size or (256, 128))
        if made is None:
            continue
        network, convention = made
        wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        needed = {name: shape for name, shape in wanted.items() if not name.endswith("num_batches_tracked")}
        if all(tuple(inner.get(name, (-1,))) == shape for name, shape in needed.items()):
            unused = [prefix + name for name in inner if name not in wanted]
            return Assembled(convention, network, prefix, unused)
    return None


def omni_scale_options(shapes: Shapes) -> OmniScaleOptions | None:
    """What an OSNet is made of, by names as torchreid has them; None where they are of none."""
    parts = ("conv1", "conv2.0.conv3", "conv3.0.conv3", "conv4.0.conv3")
    weights = [shapes.get(f"{part}.conv.weight", ()) for part in parts]
    if not all(len(shape) == 4 for shape in weights):
        return None
    kind: Literal["plain", "ibn", "ain"] = "plain"
    if "conv2.0.conv2a.conv1.weight" not in shapes:
        kind = "ain"
    elif "conv1.bn.running_mean" not in shapes:
        kind = "ibn"
    linear = (shapes.get("fc.0.weight") or (512,))[0]
    return OmniScaleOptions(tuple(shape[0] for shape in weights), kind, linear)


def transformer_options(shapes: Shapes, size: Size) -> TransformerOptions | None:
    """What TransReID's transformer is made of; the stride between patches is the one that their number allows."""
    patch, places = shapes.get("patch_embed.proj.weight", ()), shapes.get("pos_embed", ())
    depth = len({name.split(".")[1] for name in shapes if re.match(r"blocks\.\d+\.", name)})
    inside = shapes.get("blocks.0.mlp.fc1.weight", ())
    if len(patch) != 4 or len(places) != 3 or not depth or not inside:
        return None
    width = patch[0]
    small = depth == 8  # vit_small of 2021: 8 heads, scale of the whole width, no bias; DeiT's has 12 blocks
    base = TransformerOptions(
        size=size,
        patch=patch[2],
        width=width,
        depth=depth,
        heads=8 if small else max(1, width // 64),
        mlp_ratio=inside[0] / width,
        qkv_bias="blocks.0.attn.qkv.bias" in shapes,
        scale=width**-0.5 if small else None,
        sides=(shapes.get("sie_embed") or (0,))[0],
    )
    fits = (replace(base, stride=(step, step)) for step in _STRIDES)
    return next((options for options in fits if options.patches + 1 == places[1]), None)


def _under(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {name.removeprefix(prefix): tuple(shape) for name, shape in shapes.items() if name.startswith(prefix)}


def _wrapper(names: list[str]) -> str:
    """What stands before all names, up to a dot."""
    prefix = ""
    while names and len({name.partition(".")[0] for name in names}) == 1 and all("." in name for name in names):
        prefix += names[0].partition(".")[0] + "."
        names = [name.partition(".")[2] for name in names]
    return prefix


def _torchreid(shapes: Shapes, _: Size) -> Made:
    if osnet := omni_scale_options(shapes):
        return (OmniScaleNetwork(osnet), TORCHREID) if "fc.0.weight" in shapes else None
    if "inception1.0.stream1.0.conv.weight" in shapes:
        return HarmoniousNetwork(), HACNN
    if "feature.0.fm_conv1.weight" in shapes:
        return MultiLevelNetwork(), TORCHREID
    options = residual_options(shapes)
    if options is None:
        return None
    if parts := _striped_classifiers(shapes):
        return StripedResidual(replace(options, last_stride=1), parts), PCB
    # resnet50_fc512, the only one with a linear layer, has stride 1, the others 2
    if len(shapes.get("fc.0.weight", ())) == 2 and {"fc.1.running_mean", "classifier.weight"} <= shapes.keys():
        return PooledResidual(replace(options, last_stride=1), shapes["fc.0.weight"][0]), TORCHREID
    return (PooledResidual(options), TORCHREID) if "classifier.weight" in shapes else None


def _striped_classifiers(shapes: Shapes) -> int:
    """How many classifiers PCB has, numbered from 0, beside its convolution to fewer channels; 0 for other networks."""
    stripes = {int(match[1]): shapes[name] for name in shapes if (match := re.fullmatch(_CLASSIFIER, name))}
    whole = (
        len(stripes) > 1
        and set(stripes) == set(range(len(stripes)))
        and all(len(shape) == 2 for shape in stripes.values())
    )
    return len(stripes) if whole and any(name.startswith("conv5.") for name in shapes) else 0


def _ibn_net(shapes: Shapes, _: Size) -> Made:
    """Without IBN or squeeze-and-excitation the same names are torchvision's."""
    options = residual_options(shapes)
    if options is None or "fc.weight" not in shapes or not (options.ibn or options.squeeze):
        return None
    return PooledResidual(options), IBN_NET


def _fast_reid(shapes: Shapes, size: Size) -> Made:
    inner, head = _under(shapes, "backbone."), _under(shapes, "heads.")
    if not head or not inner:
        return None
    backbone: nn.Module
    if osnet := omni_scale_options(inner):
        backbone, channels = OmniScaleTrunk(osnet), osnet.channels[3]
    elif transformer := transformer_options(inner, size):
        backbone, channels = SideTransformer(transformer), transformer.width
    elif residual := residual_options(inner, ResidualOptions(last_stride=1)):
        residual = replace(residual, padded_pool=residual.groups > 1)
        backbone, channels = ResidualTrunk(residual), residual.channels
    else:
        return None
    first = head.get("bottleneck.0.weight", ())
    neck = any(name.endswith("running_mean") for name in head)
    pool = "GeneralizedMeanPoolingP" if "pool_layer.p" in head else "GlobalAvgPool"
    head_of = EmbeddingHead(channels, pool, first[0] if len(first) == 4 else None, neck)
    return FastReidNetwork(backbone, head_of), FAST_REID


def _strong_baseline(shapes: Shapes, _: Size) -> Made:
    options = residual_options(_under(shapes, "base."), ResidualOptions(last_stride=1))
    if options is None or "bottleneck.weight" not in shapes:
        return None
    # The project's own ResNets lack the first relu, the IBN-a that it took from IBN-Net has it.
    options = replace(options, stem_relu=options.ibn == "a")
    gem = "global_pool.p" in shapes
    return StrongBaseline(ResidualTrunk(options), gem=gem), AGW if gem else STRONG_BASELINE


def _layumi(shapes: Shapes, size: Size) -> Made:
    options = residual_options(_under(shapes, "model."))
    if options is None:
        made = trunk_net(shapes, size)
        if made is None:
            return None
        return made, LAYUMI_SWIN if made.architecture.startswith("swin_") else LAYUMI_OTHERS
    stripes = len({name for name in shapes if re.fullmatch(r"classifier\d+\.add_block\.0\.weight", name)})
    if stripes:
        way = replace(LAYUMI_PCB, parts=stripes)
        return PartNet(replace(options, last_stride=1), stripes), way
    first = shapes.get("classifier.add_block.0.weight", ())
    return (FtNet(options, first[0] if len(first) == 2 else None), LAYUMI) if first else None


def _trans_reid(shapes: Shapes, size: Size) -> Made:
    options = transformer_options(_under(shapes, "base."), size)
    if options is None:
        return None
    return TransReidLocal(options) if "b1.1.weight" in shapes else TransReid(options), TRANS_REID


def _clip_reid(shapes: Shapes, size: Size) -> Made:
    inner = _under(shapes, "image_encoder.")
    patch, positions = inner.get("conv1.weight", ()), inner.get("positional_embedding", ())
    if len(projection := inner.get("proj", ())) == 2:
        if len(patch) != 4 or len(positions) != 2:
            return None
        depth = len({name.split(".")[2] for name in inner if name.startswith("transformer.resblocks.")})
        base = ClipOptions(size, patch[2], 16, patch[0], depth, projection=projection[1])
        fits = (replace(base, stride=step) for step in _STRIDES)
        options = next((option for option in fits if option.places + 1 == positions[0]), None)
        sides = (shapes.get("cv_embed") or (0,))[0]
        return None if options is None else (ClipReid(ClipTransformer(options), sides=sides), CLIP_REID)
    last, projected = inner.get("conv3.weight", ()), inner.get("attnpool.c_proj.weight", ())
    if len(last) != 4 or len(projected) != 2:
        return None
    counts = tuple(len({n.split(".")[1] for n in inner if n.startswith(f"layer{stage}.")}) for stage in range(1, 5))
    tower = ClipResidual(ClipOptions(size, 16, 16, last[0], layers=counts, projection=projected[0]))
    return ClipReid(tower), CLIP_REID_RN50


_PROJECTS: tuple[Callable[[Shapes, Size], Made], ...] = (
    *(_fast_reid, _clip_reid, _trans_reid, _strong_baseline, _layumi, _torchreid, _ibn_net),
)
