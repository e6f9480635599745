"""The settings of every loss of `models.losses`, with their ranges."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from lookalike.settings.types import Count, Degrees, Positive, Settings

SampleClasses = Annotated[
    Annotated[float, Field(gt=0, le=1)] | None,
    Field(
        description="share of the labels whose class weights a step compares and changes, those of its batch always "
        "among them; for hundreds of thousands of labels; null = all"
    ),
]


class _Margin(Settings):
    margin_degrees: Degrees
    scale: Positive


class ArcFace(_Margin):
    """Deng et al. 2019."""

    name: Literal["arcface"]
    sample_classes: SampleClasses


class SubCenterArcFace(_Margin):
    """Deng et al. 2020."""

    name: Literal["subcenter_arcface"]
    sub_centers: Count
    sample_classes: SampleClasses


class CosFace(Settings):
    """Wang et al. 2018."""

    name: Literal["cosface"]
    margin_cosine: Annotated[float, Field(ge=0, lt=2)]
    scale: Positive
    sample_classes: SampleClasses


class SphereFace(Settings):
    """Liu et al. 2017; the angle is multiplied by `angle_factor`."""

    name: Literal["sphereface"]
    angle_factor: Annotated[int, Field(ge=1, le=8)]
    scale: Positive
    sample_classes: SampleClasses


class NormalizedSoftmax(Settings):
    """Zhai and Wu 2019."""

    name: Literal["normalized_softmax"]
    temperature: Positive
    sample_classes: SampleClasses


class ProxyAnchor(Settings):
    """Kim et al. 2020."""

    name: Literal["proxy_anchor"]
    margin_cosine: Annotated[float, Field(ge=0, lt=2)]
    scale: Positive
    sample_classes: SampleClasses


class Triplet(Settings):
    """Schroff et al. 2015, on unit embeddings."""

    name: Literal["triplet"]
    margin_distance: Annotated[float, Field(gt=0, lt=2)]
    triplets: Literal["all", "hard", "semihard"]  # easy ones cost nothing by definition, so nothing would be learnt


class MultiSimilarity(Settings):
    """Wang et al. 2019."""

    name: Literal["multi_similarity"]
    alpha: Positive
    beta: Positive
    base: Annotated[float, Field(ge=-1, le=1)]
    epsilon: Annotated[float, Field(ge=0, le=1)]


class SupCon(Settings):
    """Khosla et al. 2020."""

    name: Literal["supcon"]
    temperature: Positive


class Circle(Settings):
    """Sun et al. 2020."""

    name: Literal["circle"]
    margin_cosine: Annotated[float, Field(gt=0, lt=1)]
    scale: Positive


Loss = Annotated[
    ArcFace
    | SubCenterArcFace
    | CosFace
    | SphereFace
    | NormalizedSoftmax
    | ProxyAnchor
    | Triplet
    | MultiSimilarity
    | SupCon
    | Circle,
    Field(discriminator="name"),
]


def setting_names(loss: str | None = None) -> set[str]:
    """The settings of a loss, or of all, its name aside."""
    kinds = get_args(get_args(Loss)[0])
    chosen = [kind for kind in kinds if loss in (None, get_args(kind.model_fields["name"].annotation)[0])]
    return {name for kind in chosen for name in kind.model_fields} - {"name"}
