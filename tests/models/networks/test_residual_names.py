from dataclasses import replace

import pytest

from lookalike.models.networks.residual import ResidualOptions, ResidualTrunk
from lookalike.models.networks.residual_names import residual_options
from small_networks import TINY, shapes_of


@pytest.mark.parametrize(
    "options",
    [
        TINY,
        replace(TINY, ibn="a", squeeze=True),
        replace(TINY, ibn="b", bottleneck=False),
        replace(TINY, non_local=(0, 2, 1, 0), non_local_inner=3),
        replace(TINY, width=64, groups=32, group_width=4, ibn="a", ibn_stages=4),
    ],
)
def test_options_are_read_back_from_names_and_shapes(options: ResidualOptions) -> None:
    assert residual_options(shapes_of(ResidualTrunk(options))) == options


def test_what_leaves_no_trace_is_taken_as_given() -> None:
    hidden = ResidualOptions(last_stride=1, stem_relu=False, padded_pool=False)
    found_options = residual_options(shapes_of(ResidualTrunk(TINY)), hidden)
    assert found_options == replace(TINY, last_stride=1, stem_relu=False, padded_pool=False)


def test_other_networks_have_no_such_options() -> None:
    shapes = shapes_of(ResidualTrunk(TINY))
    assert residual_options({}) is None
    assert residual_options({name: shape for name, shape in shapes.items() if "layer3" not in name}) is None
    assert residual_options({**shapes, "conv1.weight": (16, 3, 3, 3)}) is None  # the stem of three convolutions
