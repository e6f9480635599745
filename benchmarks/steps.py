"""Times training steps of depthwise networks in torch's eager float32 and by our kernels, in turn, and prints ratios.

python benchmarks/steps.py [--rounds 9] [--threads 2] [--case tf_efficientnet_lite0:224:blocks.3 ...]

A step is the network behind the frozen trunk forward, ArcFace, backward, AdamW; 32 images. Beside the wall clock stands
the time of the processor, which tells more where other work shares it.
"""

import argparse
import copy
import ctypes
import statistics
import time
from collections.abc import Callable
from contextlib import suppress

import torch
from torch import Tensor, nn

from lookalike.models.embedder import Embedder
from lookalike.models.losses import MetricLoss
from lookalike.training.cpu.adamw import FlatAdamW
from lookalike.training.cpu.precision import prepare

STAGES = [*(f"blocks.{number}" for number in range(7)), "conv_head", "bn2", "head"]
CASES = [
    *(f"tf_efficientnet_lite0:224:blocks.{number}" for number in (3, 4, 5)),
    *(f"tf_efficientnet_lite2:260:blocks.{number}" for number in (4, 5)),
]
IMAGES, WARM = 32, 2


def main() -> None:
    """Prints a line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--case", nargs="+", default=CASES)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with suppress(OSError, AttributeError):  # as `training.fit` does; glibc alone has it
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)
        mallopt(-1, 2**31 - 1)
    print("case: torch, ours (ms per image, wall); the same of the processor; ratios (median of wall; processor)")
    for case in arguments.case:
        backbone, side, first = case.split(":")
        steps = _steps(backbone, int(side), STAGES[STAGES.index(first) :])
        times = _in_turn(steps, arguments.rounds)
        (wall, processor), (our_wall, our_processor) = ([list(part) for part in zip(*of, strict=True)] for of in times)
        ratio = statistics.median(a / b for a, b in zip(wall, our_wall, strict=True))
        print(
            f"{case}: {min(wall):.2f}, {min(our_wall):.2f}; {min(processor):.2f}, {min(our_processor):.2f}; "
            f"{ratio:.2f}, {min(processor) / min(our_processor):.2f}",
            flush=True,
        )


def _steps(backbone: str, side: int, trainable: list[str]) -> list[Callable[[], None]]:
    """A step in eager float32, and by our kernels, of copies of one network."""
    torch.manual_seed(0)
    embedder = Embedder(backbone, 128, trainable=trainable, size=(side, side))
    loss = MetricLoss("arcface", {"margin_degrees": 28.6, "scale": 10.0}, 50, 128)
    prepare(embedder, "32-true")
    images = torch.randint(0, 256, (IMAGES, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        features = embedder.trunk(images)
    ours = copy.deepcopy(embedder)
    prepare(ours, "32-fused")
    return [_step(network, copy.deepcopy(loss), features) for network in (embedder, ours)]


def _step(embedder: Embedder, loss: nn.Module, features: Tensor) -> Callable[[], None]:
    trained = [parameter for parameter in [*embedder.parameters(), *loss.parameters()] if parameter.requires_grad]
    optimizer = FlatAdamW([{"params": trained, "lr": 1e-4}], 0.0)
    labels = torch.arange(IMAGES) % 50

    def step() -> None:
        loss(embedder.rest(features), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _in_turn(steps: list[Callable[[], None]], rounds: int) -> list[list[tuple[float, float]]]:
    """Milliseconds per image of every round and step: by the wall clock, and of the processor."""
    times: list[list[tuple[float, float]]] = [[] for _ in steps]
    for number in range(WARM + rounds):
        for of_step, step in zip(times, steps, strict=True):
            start, used = time.perf_counter(), time.process_time()
            step()
            if number >= WARM:
                of_step.append(
                    (1000 * (time.perf_counter() - start) / IMAGES, 1000 * (time.process_time() - used) / IMAGES)
                )
    return times


if __name__ == "__main__":
    main()
