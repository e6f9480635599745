"""Settings that were pickled as objects come back as plain values, and nothing of their classes is called."""

import argparse
import io
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from lookalike.data.inert_pickle import INERT
from lookalike.models.settings_pickle import LONGEST, Boxed, plain
from lookalike.models.tensor_pickle import unpickled
from lookalike.recognition.saved_settings import settings_in, unread_in

NESTED = {"size": [256, 128], "net": {"name": "resnet50", "mean": [0.5, 0.5, 0.5], "crop": None}, "half": True}
FLAT = {"size": [256, 128], "net.name": "resnet50", "net.mean": [0.5] * 3, "net.crop": None, "half": True}


def stand_in(path: str, base: type) -> type:
    """A class by the name of one of a package that need not be installed."""
    module, _, name = path.rpartition(".")
    made = type(name, (base,), {"__module__": module, "__qualname__": name})
    setattr(sys.modules[module], name, made)
    return made


def of_items(path: str) -> Any:
    """As children of dict pickle: items, and attributes of their own."""
    kind = stand_in(path, dict)
    made = kind({key: kind(value) if isinstance(value, dict) else value for key, value in NESTED.items()})
    made.__dict__.update(__immutable__=False, __deprecated_keys__=set())
    return made


OBJECTS = {
    "argparse": lambda: argparse.Namespace(**{**NESTED, "net": argparse.Namespace(**NESTED["net"])}),  # type: ignore[dict-item]
    "simple": lambda: types.SimpleNamespace(**{**NESTED, "net": types.SimpleNamespace(**NESTED["net"])}),  # type: ignore[dict-item]
    "OmegaConf": lambda: OmegaConf.create(NESTED),
    "OmegaConf inside": lambda: {
        **NESTED,
        "net": OmegaConf.create(NESTED["net"]),
        "size": OmegaConf.create([256, 128]),
    },
    "yacs": lambda: of_items("yacs.config.CfgNode"),
    "EasyDict": lambda: of_items("easydict.EasyDict"),
}


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", OBJECTS)
def test_settings_are_plain_values(name: str, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("yacs", "yacs.config", "easydict"):
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    content = {"args": OBJECTS[name](), "epoch": 3}
    stored = unpickled(io.BytesIO(pickle.dumps(content, protocol))).content
    assert settings_in(stored) == {**FLAT, "epoch": 3}
    assert unread_in(stored) == {}


def test_what_is_ours_alone_has_no_objects() -> None:
    stored = pickle.dumps({"args": argparse.Namespace(a=1)}, 2)
    with pytest.raises(pickle.UnpicklingError, match=r"it calls argparse\.Namespace"):
        unpickled(io.BytesIO(stored), strict=True)


class Mine:
    """Of a script."""

    def __init__(self) -> None:
        self.size = 256


def test_an_object_of_an_unknown_class_is_told() -> None:
    stored = unpickled(io.BytesIO(pickle.dumps({"cfg": Mine()}, 2))).content
    assert settings_in(stored) == {}
    assert unread_in(stored) == {"cfg": "an object of an unknown class"}


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.target}'",)


@pytest.mark.parametrize(
    "wrap", [argparse.Namespace, types.SimpleNamespace, lambda **values: OmegaConf.create({"b": 1})]
)
def test_what_wants_to_act_inside_of_them_does_nothing(wrap: Any, tmp_path: Path) -> None:
    holder = wrap(size=256)
    vars(holder).update(evil=Evil(tmp_path / "made"))
    data = pickle.dumps({"args": holder, "evil": Evil(tmp_path / "made")}, 2)
    pickle.loads(data)
    assert (tmp_path / "made").exists()  # it does what it is meant to, for who runs it
    (tmp_path / "made").unlink()
    stored = unpickled(io.BytesIO(data)).content
    assert set(settings_in(stored)) <= {"size", "b"}
    assert not (tmp_path / "made").exists()


def test_one_that_is_part_of_itself_is_read_once() -> None:
    holder = argparse.Namespace(size=256)
    holder.again = holder
    holder.deep = {"inner": holder}
    stored = unpickled(io.BytesIO(pickle.dumps({"args": holder}, 2))).content
    assert settings_in(stored) == {"size": 256}


def test_a_box_in_itself_ends() -> None:
    box = Boxed()
    box.value = box
    assert plain(box) is box
    assert settings_in({"args": {"a": box, "b": [box]}}) == {}


CLASS = b"cargparse\nNamespace\n)\x81"


@pytest.mark.parametrize(
    "state",
    [b"N", b"]", b"(K\x01K\x02t", b"}(K\x01K\x02u", b"}(X\x01\0\0\0a}(X\x01\0\0\0b]uu", b"cos\nsystem\n", CLASS],
)
@pytest.mark.parametrize(
    "kind", [b"argparse\nNamespace", b"omegaconf.dictconfig\nDictConfig", b"omegaconf.nodes\nAnyNode"]
)
def test_a_state_of_any_kind_is_no_harm(kind: bytes, state: bytes) -> None:
    data = b"\x80\x02}X\x04\0\0\0args" + b"c" + kind + b"\n)\x81" + state + b"bs."
    stored = unpickled(io.BytesIO(data)).content
    assert all(isinstance(name, str) for name in settings_in(stored))


def test_states_that_are_copied_again_and_again_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.data.inert_pickle.MAX_OPCODES", 5000)
    many = b"}(" + b"".join(b"K" + bytes([number]) + b"N" for number in range(200)) + b"uq\x01"
    data = b"\x80\x02" + many + b"0" + b"cargparse\nNamespace\n)\x81" + b"h\x01b" * 100 + b"."
    with pytest.raises(pickle.UnpicklingError, match="copies its parts again and again"):
        unpickled(io.BytesIO(data))


def test_what_nothing_is_known_of_stays_inert() -> None:
    assert unpickled(io.BytesIO(b"\x80\x02cthere\nis_none\n)\x81}b.")).content is INERT


def test_a_long_list_is_not_copied_for_every_name_that_has_it() -> None:
    parts: list[object] = [Boxed()] * (LONGEST + 1)
    assert plain(parts) is parts
    assert plain(parts[1:]) == [None] * LONGEST
