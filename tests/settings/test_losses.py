"""The settings of every loss."""

import pytest

from command_line import GROUPS, train
from lookalike.settings.check import SettingsError
from lookalike.settings.losses import setting_names


@pytest.mark.parametrize("loss", GROUPS["loss"])
def test_the_settings_of_another_loss_are_unknown(loss: str) -> None:
    with pytest.raises(SettingsError, match=r"loss\.nonsense: unknown setting.*known here: .*name"):
        train(f"loss={loss}", "loss.nonsense=1")
    other = "temperature" if loss not in ("supcon", "normalized_softmax") else "margin_degrees"
    with pytest.raises(SettingsError, match=rf"loss\.{other}: unknown setting"):
        train(f"loss={loss}", f"loss.{other}=0.5")


LOSSES = sorted({name.removesuffix("_many_labels") for name in GROUPS["loss"]})


@pytest.mark.parametrize("loss", LOSSES)
def test_the_names_of_the_settings_of_a_loss_are_those_of_its_file(loss: str) -> None:
    settings = train(f"loss={loss}").loss
    assert settings.name == loss
    assert setting_names(loss) == set(settings.model_dump()) - {"name"}


def test_the_names_of_all_settings_are_those_of_every_loss() -> None:
    assert setting_names() == set.union(*map(setting_names, LOSSES))
    assert setting_names("nonsense") == set()


@pytest.mark.parametrize(
    ("loss", "setting", "message"),
    [
        ("arcface", "margin_degrees=180", "expected less than 180"),
        ("arcface", "scale=0", "expected greater than 0"),
        ("subcenter_arcface", "sub_centers=0", "expected greater than or equal to 1"),
        ("cosface", "margin_cosine=2", "expected less than 2"),
        ("sphereface", "angle_factor=9", "expected less than or equal to 8"),
        ("sphereface", "angle_factor=1.5", "expected a valid integer"),
        ("normalized_softmax", "temperature=0", "expected greater than 0"),
        ("proxy_anchor", "margin_cosine=-1", "expected greater than or equal to 0"),
        ("triplet", "margin_distance=2", "expected less than 2"),
        ("triplet", "triplets=easy", "expected 'all', 'hard' or 'semihard'"),
        ("multi_similarity", "base=2", "expected less than or equal to 1"),
        ("multi_similarity", "epsilon=-0.1", "expected greater than or equal to 0"),
        ("supcon", "temperature=inf", "expected a finite number"),
        ("circle", "margin_cosine=1", "expected less than 1"),
    ],
)
def test_a_value_out_of_range_is_refused(loss: str, setting: str, message: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(SettingsError, match=rf"^loss\.{name}={value}: {message}"):
        train(f"loss={loss}", f"loss.{setting}")
