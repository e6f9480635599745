"""What is known of the network in a checkpoint: plain data, each fact with its source.

Letters in shapes: B batch, C channels, H height, W width, D embedding.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from lookalike.models.foreign_names import first_names

Value = str | int | float | bool | list[float] | None
Source = Literal["shapes", "saved settings", "convention", "assumed", "given"]
Kind = Literal["linear", "convolution", "batch norm", "relu", "leaky relu", "unit length", "projection"]
Pooling = Literal["own", "avg", "max", "gem", "avg+max", "clipped avg"]
Flip = Literal["none", "sum", "mean", "unit sum", "mean, normalised twice"]
PIXEL_FACTS = (
    "height",
    "width",
    "resize",
    "shorter_side",
    "border",
    "interpolation",
    "antialias",
    "mean",
    "std",
    "channels",
    "flip",
    "parts",
)
FACTS = (  # in the order in which they are shown
    *("project", "weights", "architecture", "last_stride", "pooling", "gem_power", "neck", "taken"),
    *PIXEL_FACTS,
)

SETTINGS = {  # that say a fact
    **{name: f"model.{name}" for name in ("last_stride", "pooling")},
    **{
        name: f"pixels.{name}"
        for name in ("height", "width", "resize", "shorter_side", "border", "interpolation", "antialias")
    },
    **{"mean": "model.mean", "std": "model.std", "neck": "model.bn_neck"},
}


def printed(value: Value) -> str:
    """A value as it is typed on the command line.

    Args:
        value: Of a fact.
    """
    if isinstance(value, list):
        return f"[{','.join(f'{part:g}' for part in value)}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Fact:
    """One thing that is known.

    Attributes:
        value: Plain.
        source: `shapes` (names and shapes of tensors), `saved settings` (in the file or beside it), `convention` (of
            the project that wrote it), `assumed` (nothing says it, and most do it so), `given` (by a person).
        evidence: The tensor, the setting, or the file of the project that says so.
    """

    value: Value
    source: Source
    evidence: str

    def __str__(self) -> str:
        """The value, and where it comes from."""
        return f"{printed(self.value)} ({self.source})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"value": self.value, "source": self.source, "evidence": self.evidence}


@dataclass(frozen=True)
class Layer:
    """One step between the pooling and the embedding.

    Attributes:
        kind: What it does to [B, D].
        stem: Where its tensors stand in the file, without `.weight`; empty for one without tensors.
        width: D behind it; 0 where it does not change it.
        bias: Whether a linear layer has one.
    """

    kind: Kind
    stem: str = ""
    width: int = 0
    bias: bool = True

    def __str__(self) -> str:
        size = f" {self.width}" if self.width else ""
        return f"{self.kind}{size}" + (f" ({self.stem})" if self.stem else "")


@dataclass(frozen=True)
class Blueprint:
    """What the network is made of, and where its tensors stand.

    Attributes:
        architecture: timm's name, or in words what a network of `models.networks` is.
        authors: The project whose network it is (`models.networks.assembled`), empty for one of timm.
        wrapper: What stands in the file before the names of such a network.
        hints: Shapes of what comes behind the embedding, which tell such a network apart.
        tensors: Name in the backbone -> name in the file, or several that are joined along the first axis.
        cuts: Name in the backbone -> axis, first and last (exclusive) of what is taken of its tensors in the file.
        plus: Name in the backbone -> name in the file, axis, first and last of what is added to it.
        tanh: Whether GELU is approximated by tanh, of networks of transformers that say so; else as timm has it.
        last_stride: Of the last stage; None as the architecture has it.
        pooling: `own` is what the architecture does by itself.
        gem_power: Of GeM.
        layers: Behind the pooling, in their order.
        taken: `before` or `after` a batch norm, of such networks as have both; empty as the project has it.
        flip: What is made of the mirrored image, see `models.networks.inference_rules`.
        library: Whose names the tensors have, which is also how it brings position embeddings to another size.
        norm_eps: What batch norms add to the variance; None as the architecture has it.
        parts: Stripes of the embedding that have unit length each.
    """

    architecture: str
    tensors: dict[str, tuple[str, ...]]
    authors: str = ""
    wrapper: str = ""
    hints: dict[str, tuple[int, ...]] = field(default_factory=dict)
    last_stride: int | None = None
    pooling: Pooling = "own"
    gem_power: float = 3.0
    layers: tuple[Layer, ...] = ()
    taken: str = ""
    flip: Flip = "none"
    parts: int = 1
    library: str = "timm"
    norm_eps: float | None = None
    cuts: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    plus: dict[str, tuple[str, int, int, int]] = field(default_factory=dict)
    tanh: bool = False


@dataclass(frozen=True)
class Question:
    """What no file says and a person has to.

    Attributes:
        facts: Names of the facts that hang on it.
        text: What was recognised, what is open, and the settings that answer it, in one line.
    """

    facts: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Recognised:
    """What a checkpoint holds.

    Attributes:
        file: Its path.
        facts: Name -> fact, those of `FACTS` that are known.
        blueprint: What builds the network.
        left_out: Names in the file of what comes behind the embedding: classifiers, weights of a loss.
        other_weights: Other sets of weights in the file (`ckpt_key`).
        remarks: What else a person should know.
        questions: What a person has to answer before a network can be made.
    """

    file: str
    facts: dict[str, Fact]
    blueprint: Blueprint
    left_out: list[str] = field(default_factory=list)
    other_weights: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """What a person is told besides the facts: other sets of weights, what is assumed, and the remarks."""
        others = [f"other weights in the file: {first_names(self.other_weights)} (ckpt_key=...)"]
        assumed = [name for name in SETTINGS if name in self.facts and self.facts[name].source == "assumed"]
        settings = ", ".join(SETTINGS[name] for name in assumed)
        said = [f"assumed, as nothing says it: {', '.join(assumed)}: give {settings} if it was otherwise"]
        return [*(others if self.other_weights else []), *(said if assumed else []), *self.remarks]

    @property
    def open_facts(self) -> set[str]:
        """Names of the facts that hang on a question."""
        return {name for question in self.questions for name in question.facts}

    def __str__(self) -> str:
        """One line: what the network is, and how images are read."""
        parts = [f"{name} {self.facts[name]}" for name in FACTS if name in self.facts and name != "weights"]
        return f"recognised: {'; '.join(parts)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "file": self.file,
            "facts": {name: self.facts[name].to_dict() for name in FACTS if name in self.facts},
            "layers": [str(layer) for layer in self.blueprint.layers],
            "tensors": sum(map(len, self.blueprint.tensors.values())),
            "left_out": self.left_out,
            "other_weights": self.other_weights,
            "remarks": self.remarks,
            "questions": [question.text for question in self.questions],
            "unexplained": [],
        }
