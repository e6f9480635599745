"""Images that transformers scales and then cuts: which of the two its image processors do by the size that they saved.

Some scale both sides, others the shorter one; a size that is one number means the one or the other by the class of the
processor (`default_to_square` of transformers 4, the classes' own sizes in 5).
"""

import re
from collections.abc import Mapping
from typing import Any

from lookalike.errors import CheckpointError, one_line
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Fact

_OF_BOTH_SIDES = re.compile(r"(DeiT|Beit|ViT|Siglip2?)(ImageProcessor|FeatureExtractor)\w*")


def scaled_and_cut(contents: Contents, pixels: Mapping[str, Any]) -> dict[str, Fact]:
    """`resize` and `shorter_side` of such images; nothing where they are scaled alone, or the shorter side is named.

    Args:
        contents: Of a folder of transformers.
        pixels: Given settings, None where nothing is said; where they say all of it, nothing else is read.

    Raises:
        CheckpointError: They are scaled in another proportion than they are cut.
    """
    if all(pixels.get(name) for name in ("height", "width", "resize")):
        return {}
    cut, high = contents.setting("do_center_crop"), contents.setting("crop_size.height", "crop_size")
    wide = contents.setting("crop_size.width", "crop_size")
    if not cut or cut[0] is not True or not high or not wide:
        return {}
    kept = (high[0], wide[0])
    both, single = (contents.setting("size.height"), contents.setting("size.width")), contents.setting("size")
    kind = contents.setting("image_processor_type", "feature_extractor_type")
    if both[0] and both[1]:
        scaled, where = (both[0][0], both[1][0]), f"size.height, {high[1]}"
    elif single and type(single[0]) is int:
        where = f"size, {high[1]}" + (f", {kind[1]}" if kind else "")
        if not kind or not _OF_BOTH_SIDES.fullmatch(str(kind[0])):
            return {
                "resize": Fact("crop", "saved settings", where),
                "shorter_side": Fact(max(single[0], *_whole(contents, kept)), "saved settings", where),
            }
        scaled = (single[0], single[0])
    else:
        return {}
    (height, width), result = _whole(contents, scaled), _whole(contents, kept)
    if (height, width) == result:
        return {"resize": Fact("stretch", "saved settings", where)}
    if height * result[1] != width * result[0] or height < result[0]:
        raise CheckpointError(
            f"{contents.file}: {where}: images are scaled to {height} x {width} pixels and cut to {result[0]} x "
            f"{result[1]}, expected a cut of the same proportion: give pixels.height, pixels.width and pixels.resize"
        )
    side = Fact(min(height, width), "saved settings", where)
    return {"resize": Fact("stretch", "saved settings", where), "shorter_side": side}


def _whole(contents: Contents, sides: tuple[object, object]) -> tuple[int, int]:
    if not all(type(side) is int and 8 <= side <= 4096 for side in sides):
        shown = " x ".join(one_line(side, 40) for side in sides)
        raise CheckpointError(
            f"{contents.file}: a size in preprocessor_config.json is {shown}, expected 8 to 4096 pixels: give "
            "pixels.height, pixels.width and pixels.resize"
        )
    return sides  # type: ignore[return-value]
