"""The ten losses against plain loops in float64, written from the papers without pytorch-metric-learning.

Where the package and a paper differ, the loops follow the package's documentation (2.9), which says:
- triplet, supcon and circle use `AvgNonZeroReducer`: the mean is over the losses above zero, not over all of them;
- arcface falls to cos(t) - m sin(m) beyond 180 degrees - m, to stay monotonic (the paper's code does the same);
- multi_similarity: an anchor whose label has no second image in the batch gives no pairs, and still counts in the mean.

Letters: B batch, D embedding, C classes, S sub-centres.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from lookalike.models.losses import LossError, MetricLoss, loss_names, needs_label_batches
from lookalike.settings.check import check
from lookalike.settings.losses import Loss, Triplet

FILES = sorted((Path(__file__).parents[2] / "configs" / "loss").glob("*.yaml"))
PRESETS: dict[str, dict[str, Any]] = {file.stem: OmegaConf.to_container(OmegaConf.load(file)) for file in FILES}
SAMPLED = {name: values.pop("sample_classes") for name, values in PRESETS.items() if "sample_classes" in values}
DEFAULTS = {name: values for name, values in PRESETS.items() if values["name"] == name}
NAMES = sorted(DEFAULTS)
C, D = 6, 7
LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2, 4, 4, 5]  # 3 is absent, 5 has a single image
Rows = list[list[Tensor]]


def build(name: str, classes: int = C, size: int = D, **changes: Any) -> MetricLoss:
    settings = {key: value for key, value in {**DEFAULTS[name], **changes}.items() if key != "name"}
    return MetricLoss(name, settings, classes, size)


def class_weights(loss: MetricLoss, of: Callable[[nn.Parameter], Tensor | None] = lambda p: p.data) -> Tensor | None:
    """[C * S, D], whichever way round the loss keeps them; None for a pair loss."""
    for name, parameter in loss.named_parameters():
        value = of(parameter)
        return value if name == "loss.proxies" or value is None else value.t()
    return None


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.pow(2).sum().sqrt() * b.pow(2).sum().sqrt())


def cosines(rows: Tensor, others: Tensor) -> Rows:
    return [[cosine(a, b) for b in others] for a in rows]


def softmax_loss(logits: Rows, labels: list[int]) -> Tensor:
    lost = [torch.stack([z.exp() for z in row]).sum().log() - row[y] for row, y in zip(logits, labels, strict=True)]
    return sum(lost) / len(lost)


def mean_above_zero(values: list[Tensor]) -> Tensor | float:
    above = [value for value in values if value > 0]
    return sum(above) / len(above) if above else 0.0


def with_margin(cos: Rows, labels: list[int], own: Callable[[Tensor], Tensor], scale: float) -> Rows:
    return [[scale * (own(c) if j == y else c) for j, c in enumerate(row)] for row, y in zip(cos, labels, strict=True)]


def arcface_own(c: Tensor, margin_degrees: float) -> Tensor:
    margin, angle = math.radians(margin_degrees), torch.acos(c)
    return torch.cos(angle + margin) if angle <= math.pi - margin else c - margin * math.sin(margin)


def arcface(x: Tensor, y: list[int], w: Tensor, margin_degrees: float, scale: float) -> Tensor:
    return softmax_loss(with_margin(cosines(x, w), y, lambda c: arcface_own(c, margin_degrees), scale), y)


def subcenter_arcface(
    x: Tensor, y: list[int], w: Tensor, margin_degrees: float, scale: float, sub_centers: int
) -> Tensor:
    nearest = [
        [max(row[first : first + sub_centers]) for first in range(0, len(row), sub_centers)] for row in cosines(x, w)
    ]
    return softmax_loss(with_margin(nearest, y, lambda c: arcface_own(c, margin_degrees), scale), y)


def cosface(x: Tensor, y: list[int], w: Tensor, margin_cosine: float, scale: float) -> Tensor:
    return softmax_loss(with_margin(cosines(x, w), y, lambda c: c - margin_cosine, scale), y)


def sphereface(x: Tensor, y: list[int], w: Tensor, angle_factor: int, scale: float) -> Tensor:
    def own(c: Tensor) -> Tensor:
        angle = torch.acos(c)
        k = min(math.floor(angle.item() * angle_factor / math.pi), angle_factor - 1)
        return (-1) ** k * torch.cos(angle_factor * angle) - 2 * k

    return softmax_loss(with_margin(cosines(x, w), y, own, scale), y)


def normalized_softmax(x: Tensor, y: list[int], w: Tensor, temperature: float) -> Tensor:
    return softmax_loss([[c / temperature for c in row] for row in cosines(x, w)], y)


def proxy_anchor(x: Tensor, y: list[int], w: Tensor, margin_cosine: float, scale: float) -> Tensor:
    pull, push, s = [], [], cosines(x, w)
    for j in range(len(w)):
        near = [torch.exp(-scale * (s[i][j] - margin_cosine)) for i in range(len(x)) if y[i] == j]
        far = [torch.exp(scale * (s[i][j] + margin_cosine)) for i in range(len(x)) if y[i] != j]
        pull += [torch.log(1 + sum(near))] if near else []
        push += [torch.log(1 + sum(far))] if far else []
    return sum(pull) / len(pull) + sum(push) / len(w)


def triplet(x: Tensor, y: list[int], w: None, margin_distance: float, triplets: str) -> Tensor | float:
    unit = [row / row.pow(2).sum().sqrt() for row in x]
    rows, lost = range(len(x)), []
    for a in rows:
        for p in [p for p in rows if y[p] == y[a] and p != a]:
            for n in [n for n in rows if y[n] != y[a]]:
                gap = (unit[a] - unit[n]).pow(2).sum().sqrt() - (unit[a] - unit[p]).pow(2).sum().sqrt()
                wanted = {"all": True, "hard": gap <= 0, "semihard": gap > 0}[triplets]
                lost += [margin_distance - gap] if wanted and gap <= margin_distance else []
    return mean_above_zero(lost)


def multi_similarity(
    x: Tensor, y: list[int], w: None, alpha: float, beta: float, base: float, epsilon: float
) -> Tensor:
    s, rows, lost = cosines(x, x), range(len(x)), []
    for a in rows:
        near, far = [s[a][i] for i in rows if y[i] == y[a] and i != a], [s[a][i] for i in rows if y[i] != y[a]]
        kept = [c for c in near if c - epsilon < max(far)]
        pushed = [c for c in far if near and c + epsilon > min(near)]
        pull = torch.log(1 + sum(torch.exp(-alpha * (c - base)) for c in kept)) / alpha if kept else 0
        push = torch.log(1 + sum(torch.exp(beta * (c - base)) for c in pushed)) / beta if pushed else 0
        lost.append(pull + push)
    return sum(lost) / len(lost)


def supcon(x: Tensor, y: list[int], w: None, temperature: float) -> Tensor | float:
    s, rows, lost = cosines(x, x), range(len(x)), []
    for a in rows:
        others = sum(torch.exp(s[a][i] / temperature) for i in rows if i != a)
        near = [torch.log(torch.exp(s[a][i] / temperature) / others) for i in rows if y[i] == y[a] and i != a]
        lost += [-sum(near) / len(near)] if near else []
    return mean_above_zero(lost)


def circle(x: Tensor, y: list[int], w: None, margin_cosine: float, scale: float) -> Tensor | float:
    s, rows, lost = cosines(x, x), range(len(x)), []
    for a in rows:
        near, far = [s[a][i] for i in rows if y[i] == y[a] and i != a], [s[a][i] for i in rows if y[i] != y[a]]
        weights = lambda c: c.detach().clamp(min=0)  # noqa: E731 (the paper takes no gradient through the weights)
        pulls = [-scale * weights(1 + margin_cosine - c) * (c - (1 - margin_cosine)) for c in near]
        pushes = [scale * weights(c + margin_cosine) * (c - margin_cosine) for c in far]
        if near and far:
            lost.append(torch.log(1 + sum(z.exp() for z in pulls) * sum(z.exp() for z in pushes)))
    return mean_above_zero(lost)


LOOPS: dict[str, Callable[..., Tensor | float]] = {
    loop.__name__: loop
    for loop in (
        arcface,
        subcenter_arcface,
        cosface,
        sphereface,
        normalized_softmax,
        proxy_anchor,
        triplet,
        multi_similarity,
        supcon,
        circle,
    )
}

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("arcface", {"margin_degrees": 100.0}),
    ("subcenter_arcface", {"sub_centers": 1}),
    *(("sphereface", {"angle_factor": factor}) for factor in (1, 3, 8)),
    ("triplet", {"triplets": "all"}),
    ("triplet", {"triplets": "hard"}),
    ("multi_similarity", {"epsilon": 0.0, "base": -0.2}),
    ("circle", {"margin_cosine": 0.25, "scale": 8.0}),
]


def problem(loss: MetricLoss, seed: int) -> tuple[Tensor, Tensor]:
    """Embeddings of lengths 0.1 to 10; one looks away from its class weight, one nearly straight at it."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(LABELS), D, generator=generator)
    weights = class_weights(loss)
    if weights is not None:
        per_class = len(weights) // C
        for row, sign in ((0, -1), (4, 1)):
            own = weights[LABELS[row] * per_class]
            x[row] = sign * own + 0.05 * x[row]
            if sign < 0 and per_class > 1:  # a sub-centre that looks the other way would be the nearest
                weights[LABELS[row] * per_class : (LABELS[row] + 1) * per_class] = own + 0.05 * torch.randn(
                    per_class, D, generator=generator
                )
    x *= 10 ** (2 * torch.rand(len(LABELS), 1, generator=generator) - 1)
    return x.requires_grad_(), torch.tensor(LABELS)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("name", "changes"), CASES, ids=lambda value: str(value))
def test_value_and_gradients_equal_the_plain_loop(name: str, changes: dict[str, Any], seed: int) -> None:
    torch.manual_seed(seed)
    loss = build(name, **changes)
    x, labels = problem(loss, seed)
    value = loss(x, labels)
    value.backward()

    settings = {key: setting for key, setting in {**DEFAULTS[name], **changes}.items() if key != "name"}
    weights = class_weights(loss)
    x64 = x.detach().double().requires_grad_()
    w64 = None if weights is None else weights.double().requires_grad_()
    expected = LOOPS[name](x64, LABELS, w64, **settings)
    expected.backward()

    assert value.shape == ()
    assert value.dtype == torch.float32
    assert expected > 1e-3
    assert value.item() == pytest.approx(expected.item(), rel=2e-5)
    pairs = [(x.grad, x64.grad)] + ([] if w64 is None else [(class_weights(loss, lambda p: p.grad), w64.grad)])
    for ours, theirs in pairs:
        # Each row against its own size: the gradient of a long embedding is small.
        size = theirs.norm(dim=1, keepdim=True) + 1e-3 * theirs.norm(dim=1).max()
        assert theirs.abs().max() > 0
        assert ((ours.double() - theirs) / size).abs().max() < 2e-3


def test_the_margin_of_arcface_is_in_degrees() -> None:
    loss = build("arcface", classes=2, size=2, margin_degrees=20.0, scale=4.0)
    loss.loss.W.data = torch.eye(2)
    image = torch.tensor([[math.cos(math.radians(30)), math.sin(math.radians(30))]])
    own, other = 4 * 0.6427876, 4 * 0.5  # cos(30 + 20 degrees) and cos(60 degrees)
    assert loss(image, torch.tensor([0])).item() == pytest.approx(math.log(1 + math.exp(other - own)), rel=1e-5)


def test_a_batch_without_any_pair_costs_nothing_and_has_a_gradient() -> None:
    for name in (name for name in NAMES if needs_label_batches(name)):
        x = torch.randn(4, D, requires_grad=True)
        value = build(name)(x, torch.tensor([0, 1, 2, 3]))
        value.backward()
        assert value.item() == 0, name
        assert torch.equal(x.grad, torch.zeros_like(x)), name


def _equals_weight(loss: MetricLoss, x: Tensor, factor: float = 1.0) -> Tensor:
    weights = class_weights(loss)
    if weights is None:
        return x * factor
    return factor * weights[torch.tensor(LABELS) * (len(weights) // C)]


def _with(x: Tensor, row: int, value: Tensor) -> Tensor:
    return x.index_copy(0, torch.tensor([row]), value[None])


SITUATIONS: dict[str, Callable[[MetricLoss, Tensor], Tensor]] = {
    "equals its class weight": _equals_weight,
    "its class weight, long": lambda loss, x: _equals_weight(loss, x, 1e4),
    "its class weight, short": lambda loss, x: _equals_weight(loss, x, 1e-4),
    "opposite to its class weight": lambda loss, x: _equals_weight(loss, x, -1.0),
    "equals a negative": lambda loss, x: _with(x, 0, x[3]),
    "opposite to a positive": lambda loss, x: _with(x, 0, -x[1]),
    "equals a positive": lambda loss, x: _with(x, 0, x[1]),
    "all equal": lambda loss, x: x[:1].repeat(len(x), 1),
    "on one axis": lambda loss, x: torch.eye(D)[torch.tensor(LABELS)],
    "thrice the batch, so that distances come from a matrix product": lambda loss, x: x.repeat(3, 1),
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_every_gradient_is_finite(name: str, situation: str) -> None:
    torch.manual_seed(0)
    loss = build(name)
    if situation == "on one axis" and (weights := class_weights(loss)) is not None:
        weights.copy_(torch.eye(D)[:C].repeat_interleave(len(weights) // C, dim=0))
    x = SITUATIONS[situation](loss, torch.randn(len(LABELS), D)).detach().requires_grad_()
    value = loss(x, torch.tensor(LABELS).repeat(len(x) // len(LABELS)))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(x.grad).all()
    for parameter in loss.parameters():
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_under_bf16_autocast_the_loss_is_the_float32_one(name: str) -> None:
    torch.manual_seed(0)
    loss = build(name)
    x, labels = torch.randn(len(LABELS), D).bfloat16(), torch.tensor(LABELS)
    expected = loss(x.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        inside = x.clone().requires_grad_()
        value = loss(inside, labels)
    value.backward()
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert torch.isfinite(inside.grad).all()
    assert {parameter.dtype for parameter in loss.parameters()} <= {torch.float32}
    assert all(parameter.grad.dtype == torch.float32 for parameter in loss.parameters())


@pytest.mark.parametrize(("name", "changes"), CASES, ids=lambda value: str(value))
def test_some_steps_lower_every_loss(name: str, changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    labels = torch.arange(C).repeat_interleave(4)
    images = torch.randn(C, 16)[labels] + 0.7 * torch.randn(len(labels), 16)
    network, loss = nn.Linear(16, D), build(name, **changes)
    parameters = [*network.parameters(), *loss.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    values = []
    for _ in range(60):
        value = loss(network(images), labels)
        values.append(value.item())
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)  # the losses' natural sizes differ a thousandfold
        optimizer.step()
    assert sum(values[-5:]) / 5 < 0.6 * values[0]


def test_files_table_and_settings_name_the_same_losses() -> None:
    kinds = {get_args(kind.model_fields["name"].annotation)[0] for kind in get_args(get_args(Loss)[0])}
    assert set(NAMES) == set(loss_names()) == kinds == set(LOOPS)
    for name, values in PRESETS.items():
        whole = {**values, "sample_classes": SAMPLED[name]} if name in SAMPLED else values
        assert check(Loss, whole).model_dump() == whole
    assert set(PRESETS) - set(NAMES) == {"arcface_many_labels"}


@pytest.mark.parametrize("name", NAMES)
def test_files_table_and_settings_agree(name: str) -> None:
    classes = {} if needs_label_batches(name) else {"sample_classes": SAMPLED[name]}
    checked = check(Loss, {**DEFAULTS[name], **classes})
    assert checked.model_dump() == {**DEFAULTS[name], **classes}
    fields = sorted(set(type(checked).model_fields) - {"name", *classes})
    with pytest.raises(LossError, match=f"loss {name}: expected the settings {', '.join(fields)}, got $"):
        MetricLoss(name, {}, C, D)
    assert needs_label_batches(name) == (not list(build(name).parameters()))


def test_every_kind_of_triplet_on_offer_can_teach() -> None:
    kinds = get_args(Triplet.model_fields["triplets"].annotation)
    assert {"semihard", "hard", "all"} <= set(kinds)
    for kind in kinds:
        torch.manual_seed(0)
        loss = build("triplet", triplets=kind)
        assert loss(*problem(loss, 0)).item() > 0, kind


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("arcfase", {}, 3, 4), r"loss\.name=arcfase: expected one of arcface, .*circle; did you mean arcface"),
        (("cosface", {"scale": 1.0}, 3, 4), r"loss cosface: expected the settings margin_cosine, scale, got scale$"),
        (("supcon", {"temperature": 1.0, "t": 1}, 3, 4), r"loss supcon: .* temperature, got t, temperature$"),
        (("cosface", {"margin_cosine": 0.1, "scale": 1.0}, 1, 4), r"loss cosface: 1 training label, expected"),
        (("supcon", {"temperature": 1.0}, 1, 4), r"loss supcon: 1 training label, expected at least two"),
    ],
)
def test_wrong_settings_are_refused(arguments: tuple[Any, ...], text: str) -> None:
    with pytest.raises(LossError, match=text):
        MetricLoss(*arguments)
