"""Which networks are split into a frozen trunk and the rest, what a cached trunk saves, what a step behind it takes.

python benchmarks/trunks.py networks
LOOKALIKE_DATA=<folder with train, validation> python benchmarks/trunks.py costs
python benchmarks/trunks.py steps --backbone efficientnet_lite0 --stage 3 --side 224 --threads 2

All print a table. Networks have random weights and are trained from the middle stage on.
"""

import argparse
import copy
import os
import shutil
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from harness import machine

from lookalike.cli.arguments import read_settings
from lookalike.data.reading import read_manifest
from lookalike.errors import ModelError
from lookalike.models.backbone import make_backbone, own_size
from lookalike.models.embedder import Embedder, stage_names
from lookalike.models.metric_learning_module import TrainPrecision
from lookalike.training.build import build
from lookalike.training.cpu.precision import prepare
from lookalike.training.fit import keep_freed_memory
from lookalike.training.plan import Plan

SIDES = (64, 128, 224)  # the first that a network runs at, else its own
NETWORKS = (
    *("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "vit_tiny_r_s16_p8_224"),
    *("vit_relpos_base_patch16_224",),
    *("vit_small_patch14_dinov2", "vit_small_patch16_dinov3", "eva02_tiny_patch14_224", "vit_base_patch16_siglip_224"),
    *("beit_base_patch16_224", "naflexvit_base_patch16_map", "convit_tiny", "cait_xxs24_224", "xcit_nano_12_p16_224"),
    *("volo_d1_224", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "hiera_tiny_224", "sam2_hiera_tiny"),
    *("mvitv2_tiny", "pvt_v2_b0", "twins_svt_small", "twins_pcpvt_small", "nest_tiny", "levit_128s", "tiny_vit_5m_224"),
    *("maxvit_pico_rw_256", "coatnet_pico_rw_224", "gcvit_xxtiny", "davit_tiny", "focalnet_tiny_srf"),
    *(
        "efficientformer_l1",
        "efficientformerv2_s0",
        "mobilevit_xxs",
        "edgenext_xx_small",
        "fastvit_t8",
    ),
    *(
        "visformer_tiny",
        "poolformer_s12",
        "mixer_s32_224",
        "gmlp_ti16_224",
        "resmlp_12_224",
        "sequencer2d_s",
        "test_mambaout",
    ),
    *("resnet18", "resnetv2_50", "res2net50_26w_4s", "nf_resnet26", "densenet121", "vgg11", "dla34", "inception_v3"),
    *("xception41", "ese_vovnet19b_dw", "hgnetv2_b0", "regnetx_002", "regnety_002", "rexnet_100", "ghostnet_100"),
    *("efficientnet_b0", "tf_efficientnet_lite0", "efficientnetv2_rw_t", "mobilenetv3_small_100", "lcnet_050"),
    *("mobilenetv4_conv_small", "mobilenetv4_hybrid_medium", "mobileone_s0", "repvit_m0_9", "starnet_s1"),
    *("fasternet_t0", "convnext_atto", "convnextv2_atto", "inception_next_atto", "rdnet_tiny", "efficientvit_b0"),
    *("crossvit_tiny_240", "coat_lite_tiny", "tnt_s_patch16_224", "pit_ti_224", "hrnet_w18_small"),
)


@dataclass(frozen=True)
class Split:
    """One line of the table of networks.

    Attributes:
        network: Its name.
        family: timm's class.
        side: Of the images.
        end: The first trained stage, None where it is not split.
        tokens: Whether its forward does more than pass one tensor on.
        reason: Why it is not split.
    """

    network: str
    family: str
    side: int
    end: str | None
    tokens: bool
    reason: str

    def __str__(self) -> str:
        halves = f"at `{self.end}`" if self.end else f"no: {self.reason}"
        return f"| `{self.network}` | {self.family} | {self.side} | {halves} | {'yes' if self.tokens else ''} |"


def split(name: str) -> Split:
    """Trains a network from its middle stage on."""
    for side in SIDES:
        try:
            plain = make_backbone(name, (side, side))
            break
        except ModelError:
            continue
    else:
        plain = make_backbone(name)
        side = own_size(plain)[0]
    embedder = Embedder(name, 16, trainable=second_half(plain, side), size=(side, side))
    tokens = bool(embedder.trunk_end) and not embedder.trunk_takes((side + 32, side + 32))
    return Split(name, type(embedder.backbone).__name__, side, embedder.trunk_end, tokens, embedder.not_split or "")


def second_half(plain: torch.nn.Module, side: int) -> list[str]:
    """Its stages in the order they run, from the middle one on."""
    order: list[str] = []
    for name in stage_names(plain):
        plain.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: order.append(name))
    with torch.no_grad():
        plain.eval()(torch.zeros(1, 3, side, side))
    sequences = {name.partition(".")[0] for name in order if "." in name}
    stages = [name for name in dict.fromkeys(order) if name not in sequences]
    return stages[len(stages) // 2 :]


def few(source: Path, target: Path, images: int) -> None:
    """A dozen labels, so many training images in all."""
    for part, most in (("train", images // 12), ("validation", 1)):
        for folder in sorted((source / "validation").iterdir())[::3][:12]:
            (target / part / folder.name).mkdir(parents=True)
            for file in sorted((source / part / folder.name).iterdir())[:most]:
                shutil.copyfile(file, target / part / folder.name / file.name)


def epochs(root: Path, cache: str, network: list[str]) -> tuple[int, list[float], list[float]]:
    """Images trained on, and of each of two epochs the seconds by the clock and of the processor."""
    options = [f"data.root={root}", "run=r", "model.weights=none", "online=none", f"trainer.trunk_cache={cache}"]
    options += ["trainer.precision=32-true", "trainer.workers=0", "trainer.batch_size=16", "trainer.device=cpu"]
    torch.manual_seed(0)
    module, data = build(Plan(read_settings("train", [*options, *network]), read_manifest(root)), None)
    optimizer = module.configure_optimizers()["optimizer"]
    clock, processor = [], []
    for _ in range(2):
        count, start, used = 0, time.perf_counter(), time.process_time()
        for images, labels in data.train_dataloader():
            loss = module.loss(module._embedding(images), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            count += len(labels)
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return count, clock, processor


def costs(source: Path, images: int, network: list[str]) -> list[str]:
    """A table of what an epoch costs."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        few(source, Path(folder) / "data", images)
        os.chdir(folder)
        made = {cache: epochs(Path(folder) / "data", cache, network) for cache in ("on", "off")}
    rows = [
        f"| trunk cache {cache} | {count / min(clock):.1f} | {count / min(processor):.1f} |"
        for cache, (count, clock, processor) in made.items()
    ]
    ratios = [min(made["off"][part]) / min(made["on"][part]) for part in (1, 2)]
    return [
        f"{machine()}; load when it began {load:.1f}",
        f"{' '.join(network)}, {images} images, the quicker of two training epochs, the cache made beforehand",
        "| | images/s | images per second of processor time |",
        "|---|--:|--:|",
        *rows,
        f"| times | {ratios[0]:.1f} | {ratios[1]:.1f} |",
    ]


STEPS: dict[str, tuple[TrainPrecision, bool] | None] = {
    "torch eager, float32": None,
    "`32-true`, `trainer.compiled=off`": ("32-true", False),
    "`32-true`": ("32-true", True),
    "`bf16-products`": ("bf16-products", True),
}


def seconds_of_step(embedder: Embedder, features: torch.Tensor, half: bool) -> tuple[float, float]:
    """Forward and backward pass from the trunk's output: seconds by the clock and of the processor."""
    start, used = time.perf_counter(), time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        embedding = embedder.rest(features)
    torch.nn.functional.normalize(embedding.float(), dim=1)[:, ::2].sum().backward()
    seconds = time.perf_counter() - start, time.process_time() - used
    for parameter in embedder.parameters():
        parameter.grad = None
    return seconds


def steps(backbone: str, stage: int, side: int, threads: int, repeats: int) -> list[str]:
    """A table of steps of 32 images with frozen batch norms, trained from a stage on, in turn, the quickest of each."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    trained = [*(f"blocks.{number}" for number in range(stage, 7)), "head"]
    plain = Embedder(backbone, 128, trainable=trained, size=(side, side), frozen_batch_norm=True)
    plain.to(memory_format=torch.channels_last)
    with torch.no_grad():
        features = plain.trunk(torch.randint(0, 256, (32, side, side, 3), dtype=torch.uint8))
    made = {name: copy.deepcopy(plain) for name in STEPS}
    for name, how in STEPS.items():
        if how:
            prepare(made[name], *how)
    keep_freed_memory()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in STEPS}
    for _ in range(repeats):
        for name, how in STEPS.items():
            taken[name].append(seconds_of_step(made[name], features, bool(how) and how[0] != "32-true"))
    best = {name: [1000 * min(column) / 32 for column in zip(*values, strict=True)] for name, values in taken.items()}
    eager = next(iter(best.values()))
    return [
        f"{machine()}; {threads} threads; load when it ended {os.getloadavg()[0]:.1f}",
        f"`{backbone}` from `blocks.{stage}` at {side} pixels, 32 images",
        "| | ms an image | of the processor | times eager | of the processor |",
        "|---|--:|--:|--:|--:|",
        *(
            f"| {name} | {clock:.2f} | {used:.2f} | {eager[0] / clock:.2f} | {eager[1] / used:.2f} |"
            for name, (clock, used) in best.items()
        ),
    ]


def networks() -> None:
    """Prints the table of networks, a line as soon as it is known."""
    print("| network | timm's class | pixels | split | more than one tensor passed on |", flush=True)
    print("|---|---|--:|---|---|")
    for name in NETWORKS:
        print(split(name), flush=True)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("networks", "costs", "steps"))
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--stage", type=int, default=3, help="the first of blocks.0 to blocks.6 that is trained")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, default=144)
    parser.add_argument("--network", nargs="*", default=["model=dinov2_small"], help="settings of what is trained")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part == "networks":
        networks()
    elif options.part == "steps":
        given = options.backbone, options.stage, options.side, options.threads, options.repeats
        print("\n".join(steps(*given)))
    else:
        print("\n".join(costs(Path(os.environ["LOOKALIKE_DATA"]).resolve(), options.images, options.network)))


if __name__ == "__main__":
    main()
