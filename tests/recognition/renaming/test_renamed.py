"""Tensors by other names: one by one, several joined, and of another shape."""

from lookalike.recognition.renaming.renamed import Place, Renaming

RENAMING = Renaming(
    "theirs",
    "stem.w",
    (
        (r"stem\.(\w)", r"conv.\1"),
        (r"block\.(\d+)\.(q|k|v)", lambda match: f"blocks.{match[1]}.qkv#{'qkv'.index(match[2])}"),
        (r"scale", "gamma"),
    ),
    ((r"gamma", lambda shape: shape[:1]),),
)


def test_prefixes_are_what_stands_before_the_anchor() -> None:
    names = {"a.stem.w": (1,), "stem.w": (1,), "b.c.stem.w": (1,), "xstem.w": (1,)}
    assert list(RENAMING.prefixes(names)) == ["a.", "", "b.c."]


def test_names_are_changed_joined_and_reshaped() -> None:
    names = {
        **{"a.stem.w": (4, 3), "a.scale": (4, 1, 1), "a.more": (2,), "b.stem.w": (9, 9)},
        **{
            "a.block.0.v": (2, 4),
            "a.block.0.q": (2, 4),
            "a.block.0.k": (2, 4),
            "a.block.1.q": (2, 4),
            "a.block.1.k": (2, 5),
        },
    }
    assert RENAMING.places("a.", names) == {
        "conv.w": Place(("a.stem.w",), (4, 3)),
        "gamma": Place(("a.scale",), (4,)),
        "blocks.0.qkv": Place(("a.block.0.q", "a.block.0.k", "a.block.0.v"), (6, 4)),
    }
