"""Settings that were pickled as objects, as plain values: argparse.Namespace, OmegaConf, yacs and their like.

Nothing of these classes is imported or called: their names stand for a dict or a value, into which the state of the
object is copied as the pickle has it. An object of any other class says nothing.
"""

from collections.abc import Callable
from typing import Any

from lookalike.data.inert_pickle import Name

_NESTED = 8  # values inside values
LONGEST = 200  # letters of a text, parts of a list; what is longer is no setting


class Attributes(dict[Any, Any]):
    """Stands for an object whose settings are its attributes, or its items."""


class Boxed:
    """Stands for one value of OmegaConf, or a list of them."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: object = None


_OF_ATTRIBUTES = ("argparse.Namespace", "types.SimpleNamespace")
_OF_ITEMS = (  # children of dict, whose own state repeats the items or says how they are guarded
    *("yacs.config.CfgNode", "fvcore.common.config.CfgNode", "fastreid.config.config.CfgNode"),
    *("detectron2.config.config.CfgNode", "easydict.EasyDict", "addict.addict.Dict", "munch.Munch"),
    *("mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict"),
    *("lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict"),
    *("pytorch_lightning.utilities.parsing.AttributeDict", "lightning.pytorch.utilities.parsing.AttributeDict"),
)
_NODES = ("Any", "Integer", "Float", "String", "Boolean", "Bytes", "Path", "Union", "Enum", "Interpolation")


def _named(path: str) -> Name:
    module, _, name = path.rpartition(".")
    return Name(module, name)


def _attributes(*_: object) -> Attributes:
    return Attributes()


def _items(*_: object) -> dict[object, object]:
    return {}


def _boxed(*_: object) -> Boxed:
    return Boxed()


BUILDERS: dict[Name, Callable[..., object]] = {
    **dict.fromkeys(map(_named, _OF_ATTRIBUTES), _attributes),
    **dict.fromkeys(map(_named, _OF_ITEMS), _items),
    Name("omegaconf.dictconfig", "DictConfig"): _attributes,
    Name("omegaconf.listconfig", "ListConfig"): _boxed,
    **{Name("omegaconf.nodes", f"{kind}Node"): _boxed for kind in _NODES},
}


def fill(value: object, state: object) -> int:
    """Copies the state of an object into what stands for it.

    Args:
        value: Of `BUILDERS`; anything else is left alone.
        state: A dict of attributes; anything else is none.

    Returns:
        How many parts were copied.
    """
    if not isinstance(state, dict) or not isinstance(value, Attributes | Boxed):
        return 0
    if isinstance(value, Boxed):
        value.value = state.get("_val", state.get("_content"))
        return 1
    content = state.get("_content") if "_metadata" in state else state  # of a DictConfig, and of anything else
    if isinstance(content, dict):
        value.update(content)
        return len(content)
    return 0


def plain(value: object) -> object:
    """What a value of settings is without its box.

    Args:
        value: Of a pickle; a list of more than `LONGEST` parts stays as it is.
    """
    for _ in range(_NESTED):
        if not isinstance(value, Boxed):
            break
        value = value.value
    if isinstance(value, list) and len(value) <= LONGEST:  # a longer one may stand at very many names
        return [part.value if isinstance(part, Boxed) else part for part in value]
    return value
