"""Which precision the trained part runs in: timed on the first batch, remembered for this machine and model.

bf16 is several times quicker for dense convolutions where the processor multiplies it, and slower for depthwise ones;
no rule knows better than a few steps of the real thing.
"""

import copy
import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lookalike.console import say
from lookalike.devices import processor_name, torch_has_bf16, torch_runs_bf16
from lookalike.errors import LookalikeError
from lookalike.files import write_once
from lookalike.models.embedder import Embedder
from lookalike.models.metric_learning_module import TrainPrecision
from lookalike.seals import BLANK, is_damaged, sealed
from lookalike.training.cpu.adamw import FlatAdamW
from lookalike.training.cpu.convolutions import use_products
from lookalike.training.cpu.depthwise import is_depthwise, use_depthwise
from lookalike.training.cpu.folded_norms import fold_frozen_norms, unfold

CHOICES: tuple[TrainPrecision, ...] = ("32-true", "bf16-mixed", "bf16-products")
_WARM, _TIMED, _LONGEST = 2, 5, 4.0  # steps, steps, seconds for one choice
_KEEPS_LOSS = 0.05  # largest relative difference of the loss from float32, in any step
_HOPELESS = 4.0  # a step that takes so many times that of float32 is the last one
_WORTH_IT = 0.95  # bf16 is taken when a step takes less than this share of the time in float32


@dataclass(frozen=True)
class Timed:
    """What a choice was made from.

    Attributes:
        chosen: The precision.
        milliseconds: Median step of each that was tried; empty where there is one choice.
        loss_difference: Largest relative difference of its loss from that of float32, over the steps.
    """

    chosen: TrainPrecision
    milliseconds: dict[str, float]
    loss_difference: dict[str, float]

    def __str__(self) -> str:
        if not self.milliseconds:
            return f"{self.chosen}, as this machine has no units for bf16"
        tried = ", ".join(f"{name} {value:.0f} ms" for name, value in self.milliseconds.items())
        return f"{self.chosen}, the quickest here (a step: {tried})"


def prepare(embedder: Embedder, precision: TrainPrecision, compiled: bool = True) -> None:
    """Lays the weights out for convolutions and changes how the trained ones run.

    As matrix products, with frozen norms, and in float32 on a processor the depthwise ones by code of our own.

    Args:
        embedder: The network.
        precision: What it is trained in.
        compiled: Whether there may be such code.
    """
    embedder.to(memory_format=torch.channels_last)
    unfold(embedder.backbone)
    products = precision == "bf16-products"
    compiled = compiled and precision != "bf16-mixed" and embedder.mean.device.type == "cpu"
    depthwise = compiled and any(map(is_depthwise, embedder.backbone.modules()))
    if embedder.frozen_batch_norm and (depthwise or not products):
        fold_frozen_norms(embedder.backbone, embedder.image_size, compiled, products)
    if products:
        use_products(embedder)
    if depthwise:
        use_depthwise(embedder.backbone)


def fastest_precision(
    cache: Path,
    about: dict[str, Any],
    embedder: Embedder,
    loss: nn.Module,
    forward: Callable[[Embedder, TrainPrecision, Tensor], Tensor],
    batch: tuple[Tensor, Tensor],
    compiled: bool = True,
    products: bool = True,
) -> Timed:
    """Takes the quickest precision that keeps the loss, from the cache or by measuring copies of the network.

    Neither the network nor the random state is changed.

    Args:
        cache: Folder of earlier answers, one small file each; the first answer stands.
        about: What a step's time depends on, beyond the machine: model, shapes, device.
        embedder: The network.
        loss: Its loss, as (embedding, labels) -> scalar.
        forward: (embedder, precision, first of `batch`) -> embedding [B, D].
        batch: What enters the network, and label ids int64 [B].
        compiled: Whether depthwise convolutions may run by code of our own.
        products: Whether bf16-products may be chosen.
    """
    choices = tuple(choice for choice in _candidates(batch[1]) if products or choice != "bf16-products")
    if len(choices) == 1:
        return Timed(choices[0], {}, {})
    circumstances = {**about, **_machine(), "compiled": compiled, **({} if products else {"products": False})}
    file = cache / f"{hashlib.sha256(json.dumps(circumstances, sort_keys=True).encode()).hexdigest()[:24]}.json"
    if (timed := _remembered(file)) is None:
        say(f"arithmetic: a few steps are timed in each of {', '.join(choices)}, once for this model and machine")
        tried: dict[TrainPrecision, tuple[float, list[float]]] = {}
        for choice in choices:
            longest = _HOPELESS * tried["32-true"][0] if tried else math.inf
            tried[choice] = _trial(choice, compiled, embedder, loss, forward, batch, longest)
        try:
            answer = {**asdict(_best(tried)), "about": circumstances, "checksum": BLANK.decode()}
            write_once(file, sealed(json.dumps(answer, indent=2).encode()))
        except (OSError, LookalikeError) as error:
            say(f"{file}: what was measured cannot be remembered ({error}); the next run measures again")
        timed = _remembered(file) or _best(tried)
    return timed


def _candidates(labels: Tensor) -> tuple[TrainPrecision, ...]:
    if labels.device.type != "cpu":
        return CHOICES[:2] if torch_has_bf16("cuda") else CHOICES[:1]
    return CHOICES if torch_runs_bf16() else CHOICES[:1]


def _trial(
    choice: TrainPrecision,
    compiled: bool,
    embedder: Embedder,
    loss: nn.Module,
    forward: Callable[[Embedder, TrainPrecision, Tensor], Tensor],
    batch: tuple[Tensor, Tensor],
    longest: float,
) -> tuple[float, list[float]]:
    """Median seconds of a step, and the losses of all steps; no other is done after one of `longest` seconds."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        embedder, loss = copy.deepcopy(embedder), copy.deepcopy(loss)
        prepare(embedder, choice, compiled)
        trained = [parameter for parameter in [*embedder.parameters(), *loss.parameters()] if parameter.requires_grad]
        optimizer = FlatAdamW([{"params": trained, "lr": 1e-4}], 0.0)
        seconds: list[float] = []
        losses: list[float] = []
        begin = time.perf_counter()
        while len(seconds) < _WARM + _TIMED and (len(seconds) <= _WARM or time.perf_counter() - begin < _LONGEST):
            start = time.perf_counter()
            value = loss(forward(embedder, choice, batch[0]), batch[1])
            value.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(value.item())  # waits for a GPU, too
            seconds.append(time.perf_counter() - start)
            if seconds[-1] > longest and len(seconds) > 1:  # the first one also compiles
                break
    return statistics.median(seconds[_WARM:] or seconds[-1:]), losses


def _best(tried: dict[TrainPrecision, tuple[float, list[float]]]) -> Timed:
    exact_seconds, exact = tried["32-true"]
    differences = {
        name: float(np.max([abs(a - b) / max(abs(b), 1e-6) for a, b in zip(losses, exact, strict=False)]))
        for name, (_, losses) in tried.items()
    }
    fit = [
        name
        for name, (seconds, _) in tried.items()
        if differences[name] <= _KEEPS_LOSS and seconds < _WORTH_IT * exact_seconds
    ]
    chosen = min(fit, key=lambda name: tried[name][0]) if fit else "32-true"
    milliseconds = {str(name): round(1000 * seconds, 2) for name, (seconds, _) in tried.items()}
    return Timed(chosen, milliseconds, {str(name): round(value, 6) for name, value in differences.items()})


def _remembered(file: Path) -> Timed | None:
    """An earlier answer; one that cannot be used is removed."""
    try:
        answer = json.loads(file.read_bytes())
        milliseconds, differences = (
            {str(name): float(value) for name, value in answer[part].items()}
            for part in ("milliseconds", "loss_difference")
        )
        # Of earlier versions it has no checksum.
        if answer["chosen"] in CHOICES and not is_damaged(file, lambda: "checksum" in answer):
            return Timed(answer["chosen"], milliseconds, differences)
    except OSError:
        return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass
    with suppress(OSError):
        file.unlink(missing_ok=True)
    return None


def _machine() -> dict[str, Any]:
    """Processor or GPU, threads, and the version of torch."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return {
        "processor": processor_name(),
        "amx": torch_has_bf16("cpu"),
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
