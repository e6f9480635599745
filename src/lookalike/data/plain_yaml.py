"""YAML of strangers as plain values: no object is made, and nothing stands in it more often than it is written.

Aliases and merge keys are refused: a few lines of them stand for millions of values, or take for ever to read. Where
programs wrote it, a list of plain values may be repeated: yaml.dump does that with every list that two settings share.
"""

from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"
_MOST_REPEATED = 10_000  # values, all repetitions together


class _Plain(yaml.SafeLoader):
    """Each value once."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias: yaml.AliasEvent = self.peek_event()  # type: ignore[no-untyped-call]
            if not self._may_repeat(self.anchors.get(alias.anchor)):
                raise yaml.YAMLError(f"it repeats *{str(alias.anchor)[:40]}, expected each value written out")
        return super().compose_node(parent, index)

    def _may_repeat(self, node: yaml.Node | None) -> bool:
        return False

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == _MERGE:
                raise yaml.YAMLError("it merges with <<, expected each value written out")
        super().flatten_mapping(node)


class _AnyTag(_Plain):
    """A tag that is not known (`!!python/tuple`) says nothing but what kind of node it stands at.

    Lists of plain values may be repeated.
    """

    repeated = 0

    def _may_repeat(self, node: yaml.Node | None) -> bool:
        if not isinstance(node, yaml.SequenceNode) or node.end_mark is None:  # None while it is being read
            return False
        if not all(isinstance(part, yaml.ScalarNode) for part in node.value):
            return False
        self.repeated += 1 + len(node.value)
        return self.repeated <= _MOST_REPEATED


def _untagged(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_AnyTag.add_multi_constructor("", _untagged)


def read_plain_yaml(text: str, any_tag: bool = False) -> Any:
    """The values in a text.

    Args:
        text: YAML.
        any_tag: Read what stands at a tag that is not known (`!!python/tuple`) as if it had none, and lists of plain
            values that are repeated; else both are refused.

    Raises:
        YAMLError: It is none, has such a tag, repeats values by aliases or merge keys, or a value is none of its tag.
        ValueError: A number or date that is none, as the 40th of May.
    """
    try:
        return yaml.load(text, _AnyTag if any_tag else _Plain)
    except (LookupError, AttributeError, OverflowError) as error:  # of PyYAML, from `!!bool maybe` or `!!int ''`
        raise yaml.YAMLError(f"a value is none of its tag ({type(error).__name__}: {error})") from error
