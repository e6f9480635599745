"""Where the processes of a training come from: started here, one per further device, or by torchrun or srun."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from lookalike.errors import one_line
from lookalike.models.world import World
from lookalike.settings.training import Trainer
from lookalike.terminal import complain
from lookalike.training.plan import TrainError

_MEETING = timedelta(minutes=10)  # until all processes are there
_GRACE = 30.0  # seconds in which the first process should notice by itself that another one has gone
_ENDED = 5.0  # seconds that a failing process takes to be gone
_LAUNCHERS = (
    "start one process per device with torchrun --nnodes={nodes} --nproc-per-node={devices} --rdzv-backend=c10d "
    "--rdzv-endpoint=<first machine>:29500 -m lookalike train ..., or with srun --nodes={nodes} "
    "--ntasks-per-node={devices} lookalike train ..."
)
FOLLOWED = 3  # exit code of a process that ends because an exchange with the others failed
GO_ON = "the same command goes on from the last checkpoint, on any number of devices"


class DeviceError(TrainError):
    """Devices that there are not, or processes that do not fit them, or one that is gone."""


@dataclass(frozen=True)
class Launched:
    """What a launcher says of this process.

    Attributes:
        by: The launcher.
        world: Which process this is.
        meeting: Where all meet, as `torch.distributed.rendezvous` takes it.
    """

    by: str
    world: World
    meeting: str


def launched(environment: Mapping[str, str]) -> Launched | None:
    """The launcher of this process, None where it was started by hand.

    Args:
        environment: Variables: those of torchrun (`RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `MASTER_ADDR`, `MASTER_PORT`; any
            other launcher may set them), or of a step of SLURM.

    Raises:
        DeviceError: Some of them are missing or no numbers.
    """
    try:
        if "RANK" in environment and "WORLD_SIZE" in environment:
            size = int(environment["WORLD_SIZE"])
            local_size = int(environment.get("LOCAL_WORLD_SIZE", size))
            world = World(int(environment["RANK"]), size, int(environment["LOCAL_RANK"]), local_size)
            assert environment["MASTER_ADDR"]
            assert environment["MASTER_PORT"]
            return Launched("torchrun" if "TORCHELASTIC_RUN_ID" in environment else "RANK", world, "env://")
        if "SLURM_PROCID" in environment and "SLURM_STEP_ID" in environment:
            size, nodes = int(environment["SLURM_NTASKS"]), int(environment.get("SLURM_NNODES", 1))
            world = World(int(environment["SLURM_PROCID"]), size, int(environment["SLURM_LOCALID"]), size // nodes)
            machines = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST", "127.0.0.1")
            address = environment.get("MASTER_ADDR") or SLURMEnvironment.resolve_root_node_address(machines)
            port = environment.get("MASTER_PORT") or 15000 + int(environment.get("SLURM_JOB_ID", "0")[-4:])
            return Launched("srun", world, f"tcp://{address}:{port}")
    except (KeyError, ValueError, AssertionError) as error:
        raise DeviceError(
            f"variables of the launcher: {type(error).__name__} of {one_line(error)}: expected RANK, WORLD_SIZE, "
            "LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as torchrun sets them"
        ) from error
    return None


def world_of(options: Trainer, environment: Mapping[str, str]) -> tuple[World, Launched | None]:
    """Which of the processes of a training this is, and who started them; nobody where this one has to.

    Args:
        options: Devices and machines that are wanted.
        environment: Variables of this process.

    Raises:
        DeviceError: A launcher started another number of processes, or several machines are wanted without one.
    """
    devices, nodes = options.devices, options.nodes
    by = launched(environment)
    if by and by.by == "srun" and devices * nodes == 1:
        return World(), None  # tasks of a step that train each for itself
    if by is None or by.world.size == devices * nodes == 1:
        if nodes > 1:
            how = _LAUNCHERS.format(nodes=nodes, devices=devices)
            raise DeviceError(f"trainer.nodes={nodes}: no launcher started this process: {how}")
        return World(0, devices, 0, devices), None
    if by.world.size != devices * nodes or by.world.local_size != devices:
        right = f"trainer.devices={by.world.local_size} trainer.nodes={by.world.machines}"
        raise DeviceError(
            f"trainer.devices={devices} trainer.nodes={nodes}: {by.by} started {by.world.size} processes, "
            f"{by.world.local_size} on each machine: give {right}"
        )
    return by.world, by


def need_devices(options: Trainer, device: str) -> None:
    """Refuses more devices than this machine has.

    Args:
        options: How many are wanted.
        device: `cpu` or `cuda`; of a processor every core is a device.

    Raises:
        DeviceError: There are fewer.
    """
    there = torch.cuda.device_count() if device == "cuda" else os.cpu_count() or 1
    if options.devices > there:
        kind = "GPU(s)" if device == "cuda" else "core(s) and no GPU is used"
        raise DeviceError(
            f"trainer.devices={options.devices}, but this machine has {there} {kind}: "
            f"give trainer.devices={there} or less"
        )


def meet(by: Launched) -> Store:
    """Where processes that were started by a launcher exchange addresses.

    Raises:
        DeviceError: Nobody is there.
    """
    try:
        store: Store = next(rendezvous(by.meeting, by.world.rank, by.world.size, timeout=_MEETING))[0]
    except (RuntimeError, ValueError, OSError) as error:
        place = by.meeting if by.by == "srun" else f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise DeviceError(
            f"process {by.world.rank} of {by.world.size} cannot reach the first one at {place} ({one_line(error)}): "
            "check that all were started, and MASTER_ADDR and MASTER_PORT"
        ) from error
    return store


@dataclass(frozen=True)
class Gone:
    """A process that is there no more.

    Attributes:
        how: Which one, and how it went.
        by_itself: Whether it was killed or had an error of its own, and did not follow another one that had.
    """

    how: str
    by_itself: bool


class Helpers:
    """The processes for the further devices of this machine; they end when this one does, however it ends.

    Attributes:
        store: Where they meet this one.

    Args:
        size: Processes, this one among them.
        device: `cpu` or `cuda`.
    """

    def __init__(self, size: int, device: str) -> None:
        self.store = TCPStore("127.0.0.1", 0, size, True, _MEETING, wait_for_workers=False)
        self._folder = tempfile.TemporaryDirectory(prefix="lookalike-devices-")
        self._said = [os.path.join(self._folder.name, f"{rank}") for rank in range(1, size)]
        self._size, self._over = size, threading.Event()
        command = [sys.executable, "-m", "lookalike.training.worker", str(self.store.port), str(size), device]
        self._processes = []
        for rank, said in enumerate(self._said, start=1):
            with open(said, "wb") as output:
                self._processes.append(
                    # Its standard input ends when this process is gone: then it ends, too.
                    subprocess.Popen([*command, str(rank)], stdin=subprocess.PIPE, stdout=output, stderr=output)
                )
        threading.Thread(target=self._watch, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        deadline = time.monotonic() + (_GRACE if kind is None else 0.0)
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()  # it writes nothing
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        self._folder.cleanup()

    def gone(self, seconds: float = _ENDED) -> Gone | None:
        """Which one has gone, and how; None where none has within so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            for rank, process in enumerate(self._processes, start=1):
                if (code := process.poll()) not in (None, 0):
                    how = f"process {rank} of {self._size} (of device {rank}) {self._how(rank, int(code or 0))}"
                    return Gone(how, code != FOLLOWED)
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.05)

    def _how(self, rank: int, code: int) -> str:
        if code < 0:
            return f"was killed (signal {-code})"
        with open(self._said[rank - 1], "rb") as said:
            lines = said.read().decode(errors="replace").strip().splitlines()
        return f"failed: {one_line(lines[-1].removeprefix('lookalike: '))}" if lines else f"ended with code {code}"

    def _watch(self) -> None:
        """Ends this process where it waits for ever for one that is gone, as NCCL may."""
        while not self._over.wait(1.0):
            if (gone := self.gone(0.0)) and not self._over.wait(_GRACE):
                complain(DeviceError(f"{gone.how}; {GO_ON}"))
                for process in self._processes:
                    process.kill()
                os._exit(1)
