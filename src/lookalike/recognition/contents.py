"""A checkpoint as recognition sees it: one set of tensors, and what was saved with them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from lookalike.models.checkpoint_tensors import opened, read_weights
from lookalike.recognition.saved_settings import settings_beside, settings_in, unread_in

# Numbers that a network makes for itself: they are the same in every checkpoint of an architecture, or nothing reads
# them.
_MADE = re.compile(r"(^|\.)(num_batches_tracked|relative_position_index|attn_mask|position_ids|relative_coords_table)$")
_OF_A_LOSS = re.compile(r"(^|\.)logit_(scale|bias)$")  # one number; Swin v2's attention has one a head, [heads, 1, 1]
_WRAPPERS = re.compile(r"^(module\.|_orig_mod\.|_fsdp_wrapped_module\.)+")


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        file: Its path.
        tensors: Name -> tensor, without what a network makes for itself.
        key: Where this set of weights stands in the file, empty where it is all of it.
        others: Other sets of weights.
        keys: Names at the top of the file.
        saved: Settings in the file, by dotted name.
        beside: File beside it -> its settings.
        unread: Entry of it, or file beside it, that should have settings -> why they cannot be read.
        callbacks: Names of what Lightning called while it trained.
    """

    file: Path
    tensors: dict[str, Tensor]
    key: str = ""
    others: list[str] = field(default_factory=list)
    keys: frozenset[str] = frozenset()
    saved: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    callbacks: tuple[str, ...] = ()

    def setting(self, *names: str) -> tuple[Any, str] | None:
        """The first of some settings that was saved, and where it stands; None where none was.

        Args:
            names: Dotted, in lower case; a name that begins with a dot may stand below any other.
        """
        for place, values in (("in the file", self.saved), *self.beside.items()):
            for name in names:
                for key, value in values.items():
                    if (key == name or (name[0] == "." and f".{key}".endswith(name))) and value is not None:
                        return value, f"{key} {place if place == 'in the file' else f'in {place}'}"
        return None


def read_contents(file: Path, key: str | None = None) -> Contents:
    """Reads a checkpoint; no pickle is executed.

    Args:
        file: Of torch, or safetensors.
        key: Which set of weights; None for the network's own.

    Raises:
        TensorsError: It cannot be read, or has no such weights.
    """
    weights = read_weights(file, key)
    with opened(file) as (content, storages):
        keys = frozenset(str(name) for name in content) if isinstance(content, dict) and storages is not None else []
        saved = settings_in(content) if storages is not None else {}
        unread = unread_in(content) if storages is not None else {}
        called = content.get("callbacks") if isinstance(content, dict) else None
        callbacks = tuple(map(str, called)) if isinstance(called, dict) else ()
    tensors = {
        _WRAPPERS.sub("", name): tensor for name, tensor in weights.tensors.items() if not _passive(name, tensor)
    }
    beside, unread_beside = settings_beside(file)
    unread |= {f"{name} beside it": reason for name, reason in unread_beside.items()}
    return Contents(
        *(file, tensors, weights.key, weights.others, frozenset(keys), saved, beside, unread, callbacks),
    )


def _passive(name: str, tensor: Tensor) -> bool:
    """Whether nothing of an embedding depends on a tensor."""
    return bool(_MADE.search(name)) or (tensor.numel() == 1 and bool(_OF_A_LOSS.search(name)))
