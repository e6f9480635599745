"""The help of a verb can be typed."""

import pytest
from pydantic import BaseModel

from command_line import GROUPS, NEEDED
from lookalike.cli.arguments import read_settings
from lookalike.cli.main import main
from lookalike.cli.verbs import VERBS


def names(kind: type[BaseModel], prefix: str = "") -> list[str]:
    dotted = []
    for name, field in kind.model_fields.items():
        inner = field.annotation
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        dotted += names(inner, f"{prefix}{name}.") if nested else [prefix + name]
    return dotted


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_every_setting_as_it_is_typed(verb: str, capsys: pytest.CaptureFixture) -> None:
    assert main([*verb.split(), "--help"]) == 0
    text = capsys.readouterr().out
    lines = [line.strip() for line in text.splitlines()]
    for name in names(VERBS[verb].settings_type):
        assert any(line.startswith((f"{name}=", f"{name}.")) for line in lines), name
    for group in GROUPS if verb == "tune" else set(GROUPS) - {"tune"} if verb == "train" else []:
        assert f"{group}= {', '.join(GROUPS[group])}" in lines
    assert "--config FILE" in text
    typed = [line.split("  ")[0] for line in lines[5 : lines.index("", 5)]]
    assert len(typed) >= len(names(VERBS[verb].settings_type))
    given = [setting for setting in typed if not setting.endswith("=(needed)")]
    assert len(typed) - len(given) == len(NEEDED[verb])
    assert read_settings(verb, [*NEEDED[verb], *given]) == read_settings(verb, NEEDED[verb])
