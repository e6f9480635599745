import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from lookalike.models.networks.inference_rules import InferenceRules, WithRules

IMAGES = torch.rand(2, 3, 16, 8)


class Columns(nn.Module):
    """An embedding that a mirror image and another size change."""

    def forward(self, images: Tensor, sides: Tensor | None = None) -> Tensor:
        made = nn.functional.adaptive_avg_pool2d(images, (1, 4)).flatten(1) * images.shape[3]
        return made if sides is None else made + sides[:, None]


def run(**rules: object) -> Tensor:
    return WithRules(Columns(), InferenceRules(**rules))(IMAGES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flip", "combined"),
    [
        ("none", lambda one, other: one),
        ("sum", lambda one, other: one + other),
        ("mean", lambda one, other: (one + other) / 2),
        ("unit sum", lambda one, other: normalize(one, dim=1) + normalize(other, dim=1)),
    ],
)
def test_mirror_images(flip: str, combined: object) -> None:
    network = Columns()
    torch.testing.assert_close(run(flip=flip), combined(network(IMAGES), network(IMAGES.flip(3))))  # type: ignore[operator]


def test_each_size_is_made_of_the_one_before_it() -> None:
    network = Columns()
    larger = interpolate(IMAGES, scale_factor=1.44**0.5, mode="bicubic", align_corners=False)
    again = interpolate(larger, scale_factor=4**0.5, mode="bicubic", align_corners=False)
    torch.testing.assert_close(run(scales=(1.0, 1.44, 4.0)), network(IMAGES) + network(larger) + network(again))


def test_parts_have_equal_length() -> None:
    made = run(flip="sum", parts=4)
    summed = (Columns()(IMAGES) + Columns()(IMAGES.flip(3))).view(2, 3, 4)
    torch.testing.assert_close(made, (summed / summed.norm(dim=1, keepdim=True) / 2).flatten(1))
    torch.testing.assert_close(made.norm(dim=1), torch.ones(2))


def test_cameras_are_handed_on_for_both_images() -> None:
    sides = torch.tensor([5, 7])
    made = WithRules(Columns(), InferenceRules("sum"))(IMAGES, sides)
    torch.testing.assert_close(made, run(flip="sum") + 2 * sides[:, None])
