"""Settings in a checkpoint and beside it are read as plain values, whatever wrote them; nothing is executed."""

import json
from pathlib import Path

import pytest

from lookalike.recognition.saved_settings import settings_beside, settings_in


def test_settings_in_a_checkpoint_are_flattened() -> None:
    content = {
        "hyper_parameters": {"Net": {"last_stride": 1}, "sizes": [256, 128], "object": object()},
        **{"arch": "resnet50", "epoch": 3, "state_dict": {"a": 1}, "long": "x" * 300},
    }
    assert settings_in(content) == {"net.last_stride": 1, "sizes": [256, 128], "arch": "resnet50", "epoch": 3}
    assert settings_in(["no dict"]) == {}


def test_settings_beside_it_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "INPUT:\n  SIZE_TEST: !!python/tuple [384, 128]\nRUN: !!python/object/apply:os.system ['touch ran']\n"
    )
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", "sizes": {"a": 1}}))
    beside, unread = settings_beside(tmp_path / "model.pth")
    assert beside["config.yaml"]["input.size_test"] == [384, 128]
    assert beside["config.json"] == {"model_type": "vit", "sizes.a": 1}
    assert not (tmp_path / "ran").exists()
    assert unread == {}


@pytest.mark.parametrize(
    "text", ["{", "- a\n- b", "a: [1", "\0", "x" * (1 << 21), "a: &a {b: 1}\nc: {<<: [*a, *a]}", "a: !!bool x"]
)
def test_what_cannot_be_read_says_nothing_but_why(tmp_path: Path, text: str) -> None:
    for name in ("config.json", "opts.yaml"):
        (tmp_path / name).write_text(text)
    beside, unread = settings_beside(tmp_path / "model.pth")
    assert beside == {}
    assert unread.keys() == {"config.json", "opts.yaml"}
    assert all(len(reason.splitlines()) == 1 for reason in unread.values())


def test_a_number_that_cannot_be_printed_says_nothing(tmp_path: Path) -> None:
    digits = "F" * 9000
    (tmp_path / "config.yaml").write_text(f"height: 0x{digits}\nwidth: 128\nsizes: [0x{digits}]")
    assert settings_beside(tmp_path / "model.pth") == ({"config.yaml": {"width": 128}}, {})
    assert settings_in({"args": {"height": -(16**9000), "width": 128}}) == {"width": 128}
