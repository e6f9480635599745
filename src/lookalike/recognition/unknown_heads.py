"""What stands behind a backbone where the project is not known: only what names and shapes leave no doubt of.

A linear layer may be the head (its output is the embedding) or a classifier (its output are classes). It is the head
where it is named so, where something else acts on what it gives, or where a person or a saved setting says so; it is a
classifier where it is named so, where a loss acts on what stands before it, where a saved setting says so, or where it
has ImageNet's classes. Else it is asked for, and so are a projector, which some projects drop when they test, and the
side of a batch norm that stands alone behind the pooling.

A loss has a matrix of classes x width, either side first: the side that is some layer's width is that which it takes.

Letters in shapes: D embedding, W width of what the pooling gives.
"""

import re

from torch import Tensor

from lookalike.models.foreign_names import IMAGENET_CLASSES, of_a_loss
from lookalike.recognition.contents import Contents
from lookalike.recognition.facts import Layer
from lookalike.recognition.heads import Head, gem_power, kind_of, sides
from lookalike.recognition.saved_names import saved_classes, saved_size

_HEADS = re.compile(
    r"(^|\.)(embedd(ing|er)(s|_layer|_head)?|embed|fc_embedding|visual_projection|bottleneck|reduction|"
    r"add_block|emb|feat)\d?(\.\d+)?$"
)
_PROJECTORS = re.compile(r"(^|\.)proj(ection|ector)?(_head)?\d?(\.\d+)?$")
_NECKS = re.compile(r"(^|\.)(neck|bnneck|bn_neck|bottleneck|bottleneck_bn|feat_bn|bn_embedding|bn|feat\.bn)(\.\d+)?$")


def read_unknown_head(
    contents: Contents, rest: list[str], width: int, size: int | str | None, neck: bool | None
) -> Head:
    """Sorts what is not the backbone's by names and shapes.

    Args:
        contents: Of the checkpoint.
        rest: Names that are not the backbone's.
        width: W.
        size: D that a person gave, None for no linear layer, `auto` where nothing is said.
        neck: Whether a person said that the embedding is taken behind a batch norm; None where nothing is said.
    """
    tensors = contents.tensors
    head = Head(width=width, power=gem_power(tensors, rest))
    head.left_out += [name for name in rest if of_a_loss(name)]
    others = [name for name in rest if name not in head.left_out and name != head.power]
    _add_projection(head, tensors, others, size)
    acted_on = [tuple(tensors[name].shape) for name in head.left_out if tensors[name].ndim == 2]
    waiting = list(dict.fromkeys(name.rpartition(".")[0] for name in others))  # in the file's order
    sorter = _Sorter(head, contents, size, neck, acted_on)
    while stem := next((stem for stem in waiting if sorter.enters(stem)), None):
        waiting.remove(stem)
        sorter.take(stem, waiting)
    for stem in waiting:
        if size is None and kind_of(tensors, stem) in ("linear", "batch norm"):  # behind what is asked for
            head.left_out += sorter.names(stem)
            head.asked_out.append(stem)
            continue
        is_classes = kind_of(tensors, stem) == "linear" and _is_classes(stem, sides(tensors, stem)[1])
        (head.left_out if is_classes else head.unexplained).extend(sorter.names(stem))
    if head.doubtful and head.unexplained:
        head.unexplained = [*sorter.names(head.doubtful[0]), *head.unexplained]
        head.doubtful = None
    _settle_neck(head, sorter, neck)
    _need_plain(head)
    return head


def _settle_neck(head: Head, sorter: "_Sorter", neck: bool | None) -> None:
    """Leaves out a last batch norm where a person says so; notes one whose both sides are tested."""
    if not head.layers or head.layers[-1].kind != "batch norm":
        return
    if neck is False:
        head.asked_out.append(head.layers.pop().stem)
        head.left_out += sorter.names(head.asked_out[-1])
    elif neck is None and len(head.layers) == 1:
        head.two_sides = head.layers[0].stem


def _add_projection(head: Head, tensors: dict[str, Tensor], others: list[str], size: int | str | None) -> None:
    """CLIP's projection, a matrix [W, D] and no layer; it is taken out of `others`."""
    for name in [name for name in others if name.rpartition(".")[2] == "proj" and tensors[name].ndim == 2]:
        if tensors[name].shape[0] == head.width and size in ("auto", tensors[name].shape[1]):
            head.width = int(tensors[name].shape[1])
            head.layers.append(Layer("projection", name, head.width, bias=False))
            others.remove(name)


class _Sorter:
    """Takes one layer after the other whose input is what stands before it."""

    def __init__(
        self,
        head: Head,
        contents: Contents,
        size: int | str | None,
        neck: bool | None,
        acted_on: list[tuple[int, ...]],
    ) -> None:
        self.head, self.tensors, self.size, self.neck, self.acted_on = head, contents.tensors, size, neck, acted_on
        dimensions, classes = saved_size(contents), saved_classes(contents)
        if dimensions and classes and dimensions[0] == classes[0]:
            dimensions = classes = None
        if dimensions and dimensions[0] == head.width:  # the backbone's own, which says nothing of a layer behind it
            dimensions = None
        self.dimensions, self.classes = dimensions or (0, ""), classes or (0, "")

    def names(self, stem: str) -> list[str]:
        """Those of a layer's tensors."""
        return [name for name in self.tensors if name.rpartition(".")[0] == stem]

    def enters(self, stem: str) -> bool:
        """Whether a layer's input is as wide as what stands before it."""
        kind = kind_of(self.tensors, stem)
        return kind is not None and sides(self.tensors, stem)[0] == self.head.width and stem not in self._seen

    @property
    def _seen(self) -> set[str]:
        return {name.rpartition(".")[0] for name in (*self.head.left_out, *self.head.unexplained)}

    def take(self, stem: str, waiting: list[str]) -> None:
        """Adds a layer to the head, or says that it is none of it."""
        head, kind = self.head, kind_of(self.tensors, stem)
        leaving = sides(self.tensors, stem)[1]
        assert kind is not None
        has_bias = f"{stem}.bias" in self.tensors
        if kind == "batch norm":
            if _NECKS.search(stem) or head.layers:
                head.layers.append(Layer(kind, stem, leaving, has_bias))
            else:
                head.unexplained += self.names(stem)
        elif self._is_head(stem, leaving, waiting):
            head.layers.append(Layer(kind, stem, leaving, has_bias))
            head.width = leaving
        elif self._is_classes(stem, leaving) or self._loss_acts_before(leaving):
            head.left_out += self.names(stem)
        elif self.size is None:
            head.left_out += self.names(stem)
            head.asked_out.append(stem)
        elif head.doubtful is None:
            head.doubtful, head.projector = (stem, leaving), bool(_PROJECTORS.search(stem))
        else:
            head.unexplained += self.names(stem)

    def _is_head(self, stem: str, leaving: int, waiting: list[str]) -> bool:
        if self.size != "auto":
            return leaving == self.size
        if leaving == self.dimensions[0]:
            self.head.settled = self.dimensions[1]
            return True
        if leaving == self.classes[0]:
            return False
        kinds = [other for other in waiting if kind_of(self.tensors, other)]
        acted_on = self._loss_acts_on(leaving, kinds)
        if _PROJECTORS.search(stem):
            container = re.sub(r"\d+$", "", stem) if re.search(r"\.\d+$", stem) else ""
            beside = [*kinds, *(layer.stem for layer in self.head.layers)]
            return acted_on or (bool(container) and any(other.startswith(container) for other in beside))
        follows = leaving != self.head.width and any(sides(self.tensors, other)[0] == leaving for other in kinds)
        return bool(_HEADS.search(stem)) or follows or acted_on

    def _is_classes(self, stem: str, leaving: int) -> bool:
        if leaving == self.classes[0]:
            self.head.settled = self.classes[1]
            return True
        return _is_classes(stem, leaving)

    def _loss_acts_on(self, leaving: int, waiting: list[str]) -> bool:
        """Whether a loss takes what a layer gives: its other side, which counts classes, is then no layer's width."""
        other_widths = {self.head.width, *(sides(self.tensors, other)[1] for other in waiting)} - {leaving}
        matrices = [shape for shape in self.acted_on if leaving in shape]
        return bool(matrices) and not any(other_widths & set(shape) for shape in matrices)

    def _loss_acts_before(self, leaving: int) -> bool:
        """Whether a loss takes what stands before a layer, and nothing of what it gives."""
        width = self.head.width
        return leaving != width and any(width in shape and leaving not in shape for shape in self.acted_on)


def _is_classes(stem: str, leaving: int) -> bool:
    return leaving in IMAGENET_CLASSES or bool(re.search(r"(^|\.)classif\w*(\.\d+)?$", stem))


def _need_plain(head: Head) -> None:
    """Refuses several linear layers one behind the other: what stands between them leaves no tensor."""
    linear = [layer.stem for layer in head.layers if layer.kind in ("linear", "convolution")]
    if len(linear) > 1:
        head.problem = (
            f"several linear layers ({', '.join(linear)}), and what stands between them leaves no tensor: give "
            "model.embedding_size=null for the backbone's own features"
        )
