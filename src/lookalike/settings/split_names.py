"""What the splits of a data set are called, in folders and in the column split of tables: the one list of names."""

import re

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {**{name: name for name in SPLITS}, "val": "validation", "valid": "validation"}  # as we write them
_BARE = {  # in small letters, without what separates words, and without `set` or `data` behind them
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "validate", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "holdout", "heldout"), "test"),
}


def split_named(name: str) -> str | None:
    """The split that a name means: `Training`, `VAL`, `test_set` and `Hold-out` are such names; None for others."""
    bare = re.sub(r"[\W_]+", "", name.casefold())
    return _BARE.get(bare) or _BARE.get(bare.removesuffix("set").removesuffix("data"))
