"""The settings of a verb as rows."""

from lookalike.cli.setting_rows import SettingRow, group_options, setting_rows
from lookalike.cli.verbs import VERBS


def by_name(verb: str) -> dict[str, SettingRow]:
    rows = setting_rows(VERBS[verb])
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row for row in rows}


def test_a_setting_has_its_default_choices_and_meaning() -> None:
    rows = by_name("predict")
    assert rows["image"].default == "(needed)"
    assert rows["k"].default == "null"
    assert rows["device"].choices == ("auto", "cpu", "cuda")
    assert "neighbours that vote" in rows["k"].meaning
    assert rows["where"].default == "{}"


def test_settings_of_groups_are_dotted() -> None:
    rows = by_name("train")
    assert rows["trainer.batch_size"].default.isdigit()
    assert rows["loss.name"].default == "arcface"
    assert "efficientnet_lite0" in group_options(VERBS["train"])["model"]


def test_a_group_that_is_left_out_has_no_value() -> None:
    assert by_name("eval")["model"].default == "null"
