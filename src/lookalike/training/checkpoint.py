"""The state a killed run continues from: written whole or not at all, read without executing any pickle.

`checkpoint/<run>/last.ckpt` holds weights, class weights, optimiser, schedule, random state, position inside the epoch
and the curves so far; `best.safetensors` holds the embedder of the best epoch. Both carry their checksum.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from lightning.pytorch.plugins.io import TorchCheckpointIO
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor

from lookalike.console import say
from lookalike.errors import CheckpointError, one_line
from lookalike.inference.bundle_config import CURVES
from lookalike.models.checkpoint_file import BEST, read_checkpoint, write_checkpoint, write_weights
from lookalike.models.checkpoint_tensors import was_sealed
from lookalike.seals import is_damaged
from lookalike.training.history import best_epoch


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, whole or not at all, and read by our own reader.

    Args:
        state: What the first process read, in the others: they may not see its file.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._state = state

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None) -> None:
        """Writes a checkpoint; the previous one stands until this one is complete."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads it onto the CPU, its checksum first; no pickle is executed, whatever `weights_only` says.

        Raises:
            CheckpointError: Damaged.
        """
        return read_checkpoint(Path(path)) if self._state is None else self._state


_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Plain = None | bool | int | float | str


def _counted(value: object) -> object:
    """Dicts of counts inside each other: of a loop that stands at no number, training would never end."""
    for part in value.values() if isinstance(value, dict) else ():
        _counted(part)
    if not isinstance(value, dict) and not (isinstance(value, int) and 0 <= value < 2**63):
        raise ValueError("expected a count")
    return value


_Counts = Annotated[dict[str, Any], AfterValidator(_counted)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class _HyperParameters(_Part):
    settings: dict[str, _Plain | list[_Plain] | tuple[_Plain, ...]]
    weights_source: str = ""
    arithmetic: Literal["32-true", "bf16-mixed", "bf16-products"] = "32-true"
    bf16_trunk: bool = False


class _Average(_Part):
    count: _Count
    means: dict[str, Tensor]


class _Curves(_Part):
    history: list[dict[str, float]]
    loss_sum: float
    loss_count: _Count
    random_state: Tensor
    cuda_random_state: list[Tensor]
    average: _Average | None = None


class _Clock(_Part):
    seconds: Annotated[float, Field(ge=0)] = 0.0


class _Callbacks(_Part):
    KeepState: _Clock = _Clock()


class _State(_Part):
    """What every version wrote into a checkpoint, as far as anything is done with it before training goes on."""

    epoch: _Count
    global_step: _Count
    state_dict: dict[str, Tensor]
    optimizer_states: list[dict[str, Any]]
    lr_schedulers: list[dict[str, Any]]
    loops: _Counts
    ImageDataModule: _Counts = {}
    callbacks: _Callbacks
    hyper_parameters: _HyperParameters
    lookalike: _Curves


def earlier_state(file: Path) -> dict[str, Any]:
    """The state of a run that goes on: whole, and with the parts that a run has.

    Args:
        file: `last.ckpt`.

    Raises:
        CheckpointError: Damaged, or not written by a run.
    """
    state = read_checkpoint(file)
    try:
        curves = _State.model_validate(state).lookalike.history
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise cannot_go_on(file, f"{place}: {first['msg']}") from error
    for number, line in enumerate(curves, start=1):
        if missing := [name for name in CURVES if name not in line]:
            raise cannot_go_on(file, f"lookalike.history: epoch {number} has no {missing[0]}")
    return state


def check_best(folder: Path, state: dict[str, Any]) -> None:
    """Sees to the weights of the best epoch before training goes on; missing ones are taken from the state, if it can.

    Args:
        folder: `checkpoint/<run>`.
        state: Of the run.

    Raises:
        CheckpointError: The file is damaged.
    """
    history, file = state["lookalike"]["history"], folder / BEST
    if not history or _need_whole(file):
        return
    best = best_epoch(history)
    if best == len(history) and state["lookalike"]["loss_count"] == 0:  # nothing was trained since
        weights = {name: value for name, value in state["state_dict"].items() if name.startswith("embedder.")}
        averaged = state["lookalike"].get("average", {"means": {}})["means"]
        write_weights(file, {name.removeprefix("embedder."): value for name, value in weights.items()} | averaged)
        return
    say(f"{file} is missing, the weights of epoch {best}: put it back, unless a later epoch becomes the best")


def need_best(file: Path, epoch: int) -> None:
    """Refuses to use the weights of the best epoch when they are not what was written.

    Raises:
        CheckpointError: They are damaged, or there are none.
    """
    if not _need_whole(file):
        raise CheckpointError(
            f"{file}: missing, and epoch {epoch}, whose weights stood in it, is the best: put it back and run the same "
            "command again, or give resume=never to start over"
        )


def _need_whole(file: Path) -> bool:
    """Whether the file is there; raises when it is damaged."""
    if not file.is_file():
        return False
    try:
        damaged = is_damaged(file, lambda: was_sealed(file))
    except SafetensorError:
        damaged = True
    if damaged:
        raise CheckpointError(
            f"{file}: its checksum is wrong, so it was damaged after it was written: put a whole copy in its place, "
            "delete it if a later epoch shall become the best, or give resume=never to start over"
        )
    return True


def cannot_go_on(file: Path, reason: object) -> CheckpointError:
    """What is said of a checkpoint that can be read and does not make a run."""
    return CheckpointError(
        f"{file}: no run can go on from it ({one_line(reason)}): give resume=never to start over; the file is kept"
    )


def compare_settings(begun: str, before: dict[str, Any], now: dict[str, Any], way_out: str) -> None:
    """Refuses to continue with settings that would make it something else.

    Args:
        begun: What was begun, such as `run x`.
        before: Settings it was begun with, flat (`trainer.batch_size` -> value).
        now: Settings of this call, flat.
        way_out: What to do instead of going back to them.

    Raises:
        CheckpointError: Names what differs.
    """
    # A setting that an earlier version lacked was off in it.
    same = {name for name in now.keys() - before.keys() if now[name] in (False, None)}
    changed = sorted(name for name in (before.keys() | now.keys()) - same if before.get(name) != now.get(name))
    if not changed:
        return
    if "data_fingerprint" in changed:
        what = "another data set, or files of it have changed (or what exclude.csv leaves out)"
    else:
        pairs = ((name, before.get(name), now.get(name)) for name in changed[:6])
        what = "; ".join(one_line(f"{name} was {was}, is {is_now}") for name, was, is_now in pairs)
    raise CheckpointError(f"{begun} was started with other settings: {what}; go back to them to continue, {way_out}")
