"""YAML becomes plain values of the length of its text, whatever it says."""

import pytest
import yaml

from lookalike.data.plain_yaml import read_plain_yaml


def test_tags_that_are_not_known_say_only_what_kind_of_value_it_is() -> None:
    text = "a: !!python/tuple [1, 2]\nb: !!python/object/apply:os.system ['touch ran']\nc: !x {d: 1}"
    assert read_plain_yaml(text, any_tag=True) == {"a": [1, 2], "b": ["touch ran"], "c": {"d": 1}}
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        read_plain_yaml(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [[x]]\nb: [*a, *a]", r"it repeats \*a, expected each value written out"),
        ("a: &a [x, y, z]\nb: [" + "*a, " * 2501 + "*a]", r"it repeats \*a"),
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}", r"it repeats \*a"),
        ("b: {<<: {x: 1}}", "it merges with <<, expected each value written out"),
        ("b: !x {<<: {x: 1}}", "it merges with <<"),
        ("a: &a [*a]", r"it repeats \*a"),
    ],
)
def test_what_stands_for_more_than_is_written_is_refused(text: str, reason: str) -> None:
    with pytest.raises(yaml.YAMLError, match=reason):
        read_plain_yaml(text, any_tag=True)


@pytest.mark.parametrize("value", ["!!bool maybe", "!!int ''", "!!float ''", "!!timestamp soon", f"1{':1' * 300}.5"])
def test_a_value_that_is_none_of_its_tag_is_refused(value: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"a value is none of its tag \(\w+: .+\)"):
        read_plain_yaml(f"a: {value}")


def test_a_list_of_plain_values_is_repeated_where_a_program_wrote_it() -> None:
    assert read_plain_yaml("a: &a [x]\nb: *a", any_tag=True) == {"a": ["x"], "b": ["x"]}
    with pytest.raises(yaml.YAMLError, match=r"it repeats \*a"):
        read_plain_yaml("a: &a [x]\nb: *a")


def test_an_anchor_alone_is_no_harm() -> None:
    assert read_plain_yaml("a: &a [x]") == {"a": ["x"]}
