"""The state of a run: whole, of this run, and with the weights of its best epoch beside it."""

import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import TINY
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.errors import CheckpointError, LookalikeError
from lookalike.models.checkpoint_file import read_checkpoint, write_checkpoint
from lookalike.models.checkpoint_tensors import read_tensors
from lookalike.seals import is_whole
from lookalike.training.callbacks import Abandoned
from lookalike.training.checkpoint import (
    AtomicCheckpointIO,
    cannot_go_on,
    check_best,
    compare_settings,
    earlier_state,
    need_best,
)
from lookalike.training.run import train
from runs import same

LAST, BEST = Path("checkpoint/r/last.ckpt"), Path("checkpoint/r/best.safetensors")


@pytest.fixture
def begun(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run that was ended after the first of its two epochs, in the working directory; its command."""
    monkeypatch.chdir(tmp_path)
    command = ["train", f"data.root={digits}", "run=r", *TINY, "trainer.precision=32-true"]
    with pytest.raises(Abandoned):
        train(read_settings("train", command[1:]), watch=lambda history: True)
    return command


def test_both_files_carry_their_checksum_and_lightning_reads_them(begun: list[str]) -> None:
    assert is_whole(LAST)
    assert is_whole(BEST)
    state = torch.load(LAST, weights_only=True)
    assert same(AtomicCheckpointIO().load_checkpoint(LAST), state)
    assert same(pl.plugins.TorchCheckpointIO().load_checkpoint(LAST, weights_only=True), state)
    assert same(earlier_state(LAST), state)
    weights = {name.removeprefix("embedder."): part for name, part in state["state_dict"].items() if "loss" not in name}
    assert same(load_file(BEST), {name: weights[name] for name in load_file(BEST)})


@pytest.mark.parametrize("kind", ["one bit of a weight", "4 kB of zeros", "cut off"])
def test_a_damaged_state_does_not_go_on(kind: str, begun: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(LAST.read_bytes())
    chance = random.Random(0)
    if kind == "one bit of a weight":
        with zipfile.ZipFile(LAST) as archive:
            largest = max(archive.infolist(), key=lambda member: member.file_size)
        content[largest.header_offset + 200 + chance.randrange(largest.file_size)] ^= 1
    elif kind == "4 kB of zeros":
        content[100 * 4096 : 101 * 4096] = bytes(4096)
    else:
        del content[-100:]
    LAST.write_bytes(content)
    assert main(begun) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("give resume=never to start over; the file is kept")
    assert LAST.read_bytes() == content
    assert main([*begun, "resume=never"]) == 0


def test_weights_of_an_earlier_version_have_no_checksum_and_are_used(begun: list[str]) -> None:
    for metadata in (None, {"checksum": "somebody else's"}):
        save_file(load_file(BEST), BEST, metadata)
        assert is_whole(BEST) is None
        need_best(BEST, 1)
        assert read_tensors(BEST).keys() == load_file(BEST).keys()


def test_a_state_of_an_earlier_version_goes_on_and_is_sealed_then(begun: list[str]) -> None:
    """It has no checksum; neither has the copy that torch or a person saved anew."""
    torch.save(torch.load(LAST, weights_only=True), LAST)
    assert is_whole(LAST) is None
    assert main(begun) == 0
    assert is_whole(LAST)


def test_a_copy_of_the_state_alone_goes_on_elsewhere(begun: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The weights of the best epoch are those of the state, when nothing was trained since."""
    best = BEST.read_bytes()
    Path("moved/r").mkdir(parents=True)
    shutil.copyfile(LAST, "moved/r/last.ckpt")
    assert main([*begun, "checkpoint_dir=moved"]) == 0
    shutil.rmtree("models")
    assert main(begun) == 0
    assert same(read_checkpoint(LAST)["state_dict"], read_checkpoint(Path("moved/r/last.ckpt"))["state_dict"])
    assert is_whole(BEST)
    assert len(best) == BEST.stat().st_size
    assert "is missing" not in capsys.readouterr().err


def test_averaged_weights_of_the_best_epoch_come_back_from_the_state(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", f"data.root={digits}", "run=r", *TINY, "trainer.averaged_share=0.9"]
    with pytest.raises(Abandoned):
        train(read_settings("train", command[1:]), watch=lambda history: True)
    before = load_file(BEST)
    state = earlier_state(LAST)
    means = state["lookalike"]["average"]["means"]
    assert same({name: before[name] for name in means}, means)
    assert not torch.equal(means["head.weight"], state["state_dict"]["embedder.head.weight"])
    BEST.unlink()
    check_best(BEST.parent, state)
    assert same(load_file(BEST), before)


def _finish_with_best_first(file: Path) -> int:
    """Makes the first epoch the best of all; returns how many epochs there are."""
    state = read_checkpoint(file)
    state["lookalike"]["history"][0].update({"validation/accuracy@1": 2.0})
    write_checkpoint(file, state)
    return len(state["lookalike"]["history"])


def test_missing_or_damaged_weights_of_the_best_epoch_are_told(
    begun: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(begun) == 0
    shutil.rmtree("models")
    assert _finish_with_best_first(LAST) == 2
    whole = BEST.read_bytes()
    changed = whole[:-1] + bytes([whole[-1] ^ 1])
    place = changed.index(b"lookalike-sha256:")
    for damaged in (
        changed,
        changed.replace(b"lookalike-sha256:", b"lookalike-sha255:"),
        changed[:place] + b"x" * 81 + changed[place + 81 :],
        b"\xff" * 40 + changed[40:],
    ):
        BEST.write_bytes(damaged)
        assert main(begun) == 2
        assert "best.safetensors: its checksum is wrong, so it was damaged after it was written: put a whole copy" in (
            capsys.readouterr().err
        )
        with pytest.raises(LookalikeError, match=r"best\.safetensors: "):
            read_tensors(BEST)
    BEST.unlink()
    assert main(begun) == 2
    said = capsys.readouterr().err
    assert "best.safetensors is missing, the weights of epoch 1: put it back, unless a later epoch becomes" in said
    assert "best.safetensors: missing, and epoch 1, whose weights stood in it, is the best: put it back and" in said
    BEST.write_bytes(whole)
    need_best(BEST, 1)
    assert main(begun) == 0


STATES: dict[str, Callable[[dict[str, Any]], object]] = {
    r"hyper_parameters\.settings: Field required": lambda state: state["hyper_parameters"].pop("settings"),
    r"lookalike: Field required": lambda state: state.pop("lookalike"),
    r"lookalike\.history: Input should be a valid list": lambda state: state["lookalike"].update(history=3),
    r"lookalike\.history: epoch 1 has no epoch": lambda state: state["lookalike"].update(history=[{}]),
    r"lookalike\.random_state: Input should be an instance of Tensor": lambda state: state["lookalike"].update(
        random_state=[1]
    ),
    r"callbacks\.KeepState\.seconds: ": lambda state: state["callbacks"].update(KeepState={"seconds": -1.0}),
    r"state_dict\.a: ": lambda state: state["state_dict"].update(a=1),
    r"loops: Value error, expected a count": lambda state: state["loops"]["fit_loop"].update(a={"b": float("nan")}),
    r"ImageDataModule: Value error, expected a count": lambda state: state.update(ImageDataModule={"epoch": -1}),
    r"hyper_parameters\.arithmetic: Input should be '32-true'": lambda state: state["hyper_parameters"].update(
        arithmetic="int3"
    ),
}


@pytest.mark.parametrize("text", STATES)
def test_a_state_that_is_of_no_run_is_refused(text: str, bundle_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    shutil.copyfile(bundle_path.parents[1] / "checkpoint/tiny/last.ckpt", file)
    state = earlier_state(file)
    STATES[text](state)
    write_checkpoint(file, state)
    with pytest.raises(
        CheckpointError, match=rf"^[^\n]+: no run can go on from it \([^\n]*{text}[^\n]*\): give resume="
    ):
        earlier_state(file)


def test_settings_that_differ_are_told_on_one_line() -> None:
    before = {"a": "x\ny\x1b[2J", "b": 1, "c": 0}
    with pytest.raises(
        CheckpointError, match=r"^run x was started with other settings: a was x y\?\[2J, is 2; go back"
    ):
        compare_settings("run x", before, {"a": 2, "b": 1, "c": 0, "new": False}, "or start over")
    compare_settings("run x", before, dict(before), "or start over")


def test_what_stands_in_the_way_is_one_line() -> None:
    text = str(cannot_go_on(Path("x/last.ckpt"), "KeyError:\n'a'" + "x" * 5000))
    assert len(text.splitlines()) == 1
    assert len(text) < 500
