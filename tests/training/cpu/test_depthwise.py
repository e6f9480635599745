"""Depthwise convolutions by code of our own against torch's in float64: maps and kernels of odd and even sizes."""

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lookalike.training.cpu import depthwise
from lookalike.training.cpu.depthwise import FREE, activated, convolved, is_depthwise, use_depthwise
from lookalike.training.cpu.vector_code import Bounds

# Channels, height, width, kernel, stride, padding (None: TensorFlow's), activation before and behind.
RELU6: Bounds = (0.0, 6.0)
MAPS = [
    *(
        (16, side, side, kernel, 1, kernel // 2, FREE, FREE)
        for side, kernel in itertools.product((1, 2, 3, 7), (3, 5, 7))
    ),
    *((24, side, side + 1, 5, 2, None, RELU6, RELU6) for side in (1, 2, 3, 7, 8)),
    *((33, 14, 13, kernel, 2, kernel // 2, RELU6, (0.0, None)) for kernel in (3, 5, 7)),
    (7, 9, 9, 5, 1, 2, RELU6, RELU6),
    (72, 9, 28, 3, 3, 0, (None, 1.0), FREE),
    (40, 10, 6, 2, 2, 0, FREE, RELU6),
    (20, 11, 12, 1, 2, 0, RELU6, FREE),
    (20, 6, 6, (3, 5), (2, 1), (1, 2), RELU6, RELU6),
]


@pytest.fixture(autouse=True)
def no_word_of_torchs(capsys: pytest.CaptureFixture[str]) -> object:
    """Every test runs our own code: falling back would be said."""
    yield
    captured = capsys.readouterr()
    assert "no code of our own" not in captured.out + captured.err


def layer(channels: int, kernel: object, stride: object, padding: object) -> nn.Conv2d:
    options = {"kernel_size": kernel, "stride": stride, "groups": channels}
    made = (
        Conv2dSame(channels, channels, **options)
        if padding is None
        else nn.Conv2d(
            channels,
            channels,
            padding=padding,
            **options,  # type: ignore[arg-type]
        )
    )
    assert isinstance(made, nn.Conv2d)
    return made


def answers(convolution: nn.Conv2d, images: Tensor, shift: Tensor, before: Bounds, after: Bounds) -> list[Tensor]:
    """What comes out, and all gradients."""
    weight, bias = (part.detach().clone().requires_grad_() for part in convolution.parameters())
    images, shift = (part.clone().requires_grad_() for part in (images, shift))
    if images.dtype == torch.float64:
        entered = images + shift.view(-1, 1, 1)
        if before != FREE:
            entered = entered.clamp(*before)
        exact = copy.deepcopy(convolution).double()
        exact.weight, exact.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
        weight, bias = exact.weight, exact.bias
        result = exact(entered)
        result = result if after == FREE else result.clamp(*after)
    else:
        result = convolved(convolution, images, shift, weight, bias, before, after)
    gradient = torch.linspace(-1, 1, result.numel(), dtype=torch.float64).view(result.shape).to(result.dtype)
    result.backward(gradient)
    return [result.detach(), *(part.grad for part in (images, shift, weight, bias) if part.grad is not None)]


@pytest.mark.parametrize(("channels", "high", "wide", "kernel", "stride", "padding", "before", "after"), MAPS)
def test_result_and_gradients_are_torchs(
    channels: int, high: int, wide: int, kernel: object, stride: object, padding: object, before: Bounds, after: Bounds
) -> None:
    torch.manual_seed(0)
    convolution = layer(channels, kernel, stride, padding)
    images, shift = 3 * torch.randn(3, channels, high, wide), torch.randn(channels)
    exact = answers(convolution.double(), images.double(), shift.double(), before, after)
    computed = answers(convolution.float(), images, shift, before, after)
    assert len(exact) == len(computed) == 5
    for expected, value in zip(exact, computed, strict=True):
        assert value.shape == expected.shape
        assert float((value - expected).norm()) <= 1e-5 * float(expected.norm())


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_bits_repeat_with_any_number_of_threads(threads: int) -> None:
    torch.manual_seed(0)
    convolution = layer(200, 5, 1, 2)
    images, shift = torch.randn(5, 200, 9, 9), torch.randn(200)
    expected = answers(convolution, images, shift, RELU6, RELU6)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(3):
            assert all(map(torch.equal, answers(convolution, images, shift, RELU6, RELU6), expected))
    finally:
        torch.set_num_threads(before)


def test_layouts_and_parts_of_larger_tensors_are_read_as_they_are() -> None:
    torch.manual_seed(0)
    convolution = layer(18, 3, 1, 1)
    larger = torch.randn(4, 20, 9, 12)
    for images in (larger[1:3, 1:19, :, 2:9], larger.to(memory_format=torch.channels_last)[:, 2:], larger[:0, :18]):
        result = convolved(convolution, images.requires_grad_(), None, convolution.weight, convolution.bias)
        torch.testing.assert_close(result, convolution(images))


def test_what_is_no_number_stays_so() -> None:
    convolution = layer(16, 3, 1, 1)
    images = torch.zeros(1, 16, 5, 5)
    images[0, 3, 2, 2] = torch.nan
    (result, *_) = answers(convolution, images, torch.zeros(16), RELU6, RELU6)
    assert result[0, 3, 1:4, 1:4].isnan().all()
    assert int(result.isnan().sum()) == 9


def test_bf16_maps_give_what_float32_does_to_their_precision() -> None:
    torch.manual_seed(0)
    convolution = layer(40, 5, 2, None)
    images, shift = torch.randn(3, 40, 13, 14).bfloat16(), torch.randn(40)
    exact = answers(convolution, images.float(), shift, RELU6, RELU6)
    with torch.autocast("cpu", torch.bfloat16):
        computed = answers(convolution, images, shift, RELU6, RELU6)
    assert [value.dtype for value in computed[:3]] == [torch.bfloat16, torch.bfloat16, torch.float32]
    assert torch.equal(computed[0], exact[0].bfloat16())
    for expected, value in zip(exact, computed, strict=True):
        assert float((value - expected).norm()) < 0.01 * float(expected.norm())


def test_networks_use_it_where_gradients_are_wanted() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(layer(24, 3, 2, 1), nn.Conv2d(24, 8, 1), layer(8, 5, 1, None))
    plain, images = copy.deepcopy(network), torch.randn(2, 24, 7, 7)
    network[2].requires_grad_(False)
    assert use_depthwise(network) == 1
    assert use_depthwise(network) == 0
    assert "_Depthwise" in type(network[0](images).grad_fn).__name__
    torch.testing.assert_close(network(images), plain(images))
    with torch.no_grad():
        assert torch.equal(network(images), plain(images))
    changed = functional.silu(network[0](images), inplace=True)  # as timm's networks do
    changed.sum().backward()
    functional.silu(plain[0](images)).sum().backward()
    torch.testing.assert_close(network[0].weight.grad, plain[0].weight.grad)
    doubled = copy.deepcopy(network).double()
    assert torch.equal(doubled(images.double()), plain.double()(images.double()))


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 1},
        {"groups": 4},
        {"dilation": 2},
        {"padding": "same"},
        {"padding_mode": "reflect", "padding": 1},
    ],
)
def test_other_kinds_stay_torchs(options: dict[str, object]) -> None:
    assert not is_depthwise(nn.Conv2d(8, 8, 3, **{"groups": 8, **options}))  # type: ignore[arg-type]
    assert is_depthwise(nn.Conv2d(8, 8, 3, groups=8))
    assert not is_depthwise(nn.Conv2d(8, 16, 3, groups=8))


@pytest.mark.parametrize("channels", [5, 16, 100])
def test_maps_of_another_number_of_channels_are_refused_as_torch_does(channels: int) -> None:
    convolution = nn.Conv2d(8, 8, 3, groups=8)
    use_depthwise(convolution)
    with pytest.raises(RuntimeError, match=rf"expected input\[1, {channels}, 6, 6\] to have 8 channels"):
        convolution(torch.rand(1, channels, 6, 6))


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_weights_of_another_type_are_refused_as_torch_does(kind: torch.dtype) -> None:
    convolution = nn.Conv2d(8, 8, 3, groups=8).to(kind)
    use_depthwise(convolution)
    with pytest.raises(RuntimeError, match=r"should be the same|expected .* type"):
        convolution(torch.rand(1, 8, 6, 6))


def test_the_first_maps_of_a_shape_may_be_inside_a_checkpoint_of_activations() -> None:
    convolution = nn.Conv2d(24, 24, 3, padding=1, groups=24)
    plain = copy.deepcopy(convolution)
    use_depthwise(convolution)
    images = torch.rand(2, 24, 5, 19, requires_grad=True)  # a shape that no other test has
    for made in (convolution, plain):
        checkpoint(made, images, use_reentrant=False).square().sum().backward()
    torch.testing.assert_close(convolution.weight.grad, plain.weight.grad)


def test_activations_are_torchs_with_their_gradients() -> None:
    images = torch.tensor([[-1.0, 0.0, 0.5, 6.0, 7.0, torch.nan]]).view(1, 1, 2, 3)
    for bounds, own in ((RELU6, functional.relu6), ((0.0, None), functional.relu)):
        ours, theirs = (images.clone().requires_grad_() for _ in range(2))
        results = activated(ours, bounds), own(theirs)
        torch.testing.assert_close(*results, equal_nan=True, rtol=0, atol=0)
        for result in results:
            result.mean().backward()
        assert torch.equal(ours.grad, theirs.grad)  # type: ignore[arg-type]


class TestFallingBack:
    """Torch runs, and says so, where there is no code or it is wrong."""

    @pytest.fixture(autouse=True)
    def no_word_of_torchs(self) -> None:
        """It is said here."""

    @pytest.mark.parametrize("failure", [OSError("no libtorch"), RuntimeError("LLVM\nmore"), AttributeError("GOMP")])
    def test_no_compiler(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
    ) -> None:
        def fails(_: object) -> None:
            raise failure

        monkeypatch.setattr(depthwise, "forward_kernel", fails)
        self._runs_torchs(monkeypatch, capsys, str(failure).split("\n")[0])

    def test_wrong_numbers(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        made = depthwise.backward_kernel
        monkeypatch.setattr(depthwise, "backward_kernel", lambda shape: made(replace(shape, before=FREE)))
        self._runs_torchs(monkeypatch, capsys, "torch gives other numbers")

    def _runs_torchs(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: str) -> None:
        depthwise._kernels.cache_clear()
        depthwise._tell_missing.cache_clear()
        torch.manual_seed(0)
        for padding, side in ((1, 5), (None, 6)):
            convolution = layer(16, 3, 1, padding)
            images, shift = torch.randn(2, 16, side, side), torch.randn(16)
            exact = answers(convolution.double(), images.double(), shift.double(), RELU6, RELU6)
            computed = answers(convolution.float(), images, shift, RELU6, RELU6)
            for expected, value in zip(exact, computed, strict=True):
                torch.testing.assert_close(value, expected.float())
        captured = capsys.readouterr()
        text = " ".join((captured.out + captured.err).split())
        whole_machine = reason in ("no libtorch", "GOMP")
        named = ["convolutions"] if whole_machine else ["16 maps of 5 x 5", "16 maps of 6 x 6"]
        assert [text.count(f"{what} ({reason}): torch's") for what in named] == [1] * len(named)
        depthwise._kernels.cache_clear()
