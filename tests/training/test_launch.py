"""Where the processes of several devices come from, and what is refused before anything is trained."""

import os
from pathlib import Path
from typing import Any

import pytest

from command_line import train
from conftest import TINY
from lookalike.cli.main import main
from lookalike.models.world import ALONE, World
from lookalike.training.launch import DeviceError, launched, need_devices, world_of

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "x"}
TORCHRUN |= {"MASTER_ADDR": "here", "MASTER_PORT": "29500"}
SLURM = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_NNODES": "2", "SLURM_STEP_ID": "0"}
SLURM |= {"SLURM_STEP_NODELIST": "node[07-08]", "SLURM_JOB_ID": "123456"}


def options(devices: int = 1, nodes: int = 1) -> Any:
    return train(f"trainer.devices={devices}", f"trainer.nodes={nodes}").trainer


def test_torchrun_says_which_process_this_is() -> None:
    by = launched(TORCHRUN)
    assert by is not None
    assert (by.by, by.world, by.meeting) == ("torchrun", World(3, 4, 1, 2), "env://")
    assert world_of(options(2, 2), TORCHRUN) == (World(3, 4, 1, 2), by)
    assert by.world.machines == 2


def test_a_step_of_slurm_says_it_too() -> None:
    by = launched(SLURM)
    assert by is not None
    assert (by.by, by.world, by.meeting) == ("srun", World(5, 8, 1, 4), "tcp://node07:18456")
    assert world_of(options(4, 2), SLURM)[0] == World(5, 8, 1, 4)
    by = launched({**SLURM, "MASTER_ADDR": "other", "MASTER_PORT": "1"})
    assert by is not None
    assert by.meeting == "tcp://other:1"


@pytest.mark.parametrize("environment", [{}, {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, SLURM])
def test_without_a_launcher_one_process_trains_or_starts_the_others(environment: dict[str, str]) -> None:
    """The script of a job of SLURM has variables, too, but is no step; a step of single tasks trains one run each."""
    assert world_of(options(), environment) == (ALONE, None)
    if environment is not SLURM:
        assert world_of(options(2), environment) == (World(0, 2, 0, 2), None)


@pytest.mark.parametrize(
    ("devices", "nodes", "environment", "text"),
    [
        (2, 2, {}, r"^trainer\.nodes=2: no launcher started this process: start one process per device with torchrun .*"
         r"--nnodes=2 --nproc-per-node=2 .*, or with srun --nodes=2 --ntasks-per-node=2 lookalike train"),
        (1, 1, TORCHRUN, r"torchrun started 4 processes, 2 on each machine: give trainer\.devices=2 trainer\.nodes=2"),
        (4, 1, TORCHRUN, r"trainer\.devices=4 trainer\.nodes=1: torchrun started 4 processes, 2 on each"),
        (2, 2, SLURM, r"srun started 8 processes, 4 on each machine: give trainer\.devices=4 trainer\.nodes=2"),
        (2, 1, {"RANK": "0", "WORLD_SIZE": "2"}, r"the launcher: .*LOCAL_RANK.*: expected RANK, WORLD_SIZE"),
        (2, 1, {**TORCHRUN, "RANK": "first"}, r"variables of the launcher: ValueError of .*first"),
    ],
)  # fmt: skip
def test_what_a_launcher_does_not_fit_is_refused(
    devices: int, nodes: int, environment: dict[str, str], text: str
) -> None:
    with pytest.raises(DeviceError, match=text):
        world_of(options(devices, nodes), environment)


def test_more_devices_than_there_are_are_refused() -> None:
    there = os.cpu_count() or 1
    need_devices(options(there), "cpu")
    line = (
        rf"^trainer\.devices={there + 1}, but this machine has {there} core\(s\) .*: give trainer\.devices={there} or"
    )
    with pytest.raises(DeviceError, match=line):
        need_devices(options(there + 1), "cpu")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["trainer.devices=0"], "trainer.devices=0: expected greater than or equal to 1"),
        (["trainer.devices=two"], "trainer.devices=two"),
        (
            ["trainer.devices=2", "trainer.batch_size=9"],
            "trainer.batch_size=9: 2 devices cannot share a batch of 9 rows",
        ),
        (["trainer.devices=2", "trainer.batch_size=9"], "equally: give a number that 2 divides, such as 8 or 10"),
        (
            ["trainer.devices=2", "loss=supcon", "trainer.labels_per_batch=3", "trainer.images_per_label=3"],
            "trainer.labels_per_batch x trainer.images_per_label=9: 2 devices cannot share a batch of 9 rows",
        ),
        (["trainer.devices=2", "trainer.nodes=2"], "trainer.nodes=2: no launcher started this process"),
    ],
)
def test_the_command_says_it_on_one_line(
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", f"data.root={digits}", "run=r", *TINY, *more]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("lookalike: ")
    assert text in last
    assert not list(tmp_path.glob("models/*"))
