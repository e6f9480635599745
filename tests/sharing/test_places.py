"""Addresses of the Hub and of MLflow's registry."""

import pytest

from lookalike.sharing.places import HubPlace, RegisteredPlace, SharingError, place_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hf://shop/fruits", HubPlace("shop", "fruits")),
        ("hf://shop/fruits-2.1@v1.0", HubPlace("shop", "fruits-2.1", "v1.0")),
        ("hf://shop/fruits@refs/pr/3", HubPlace("shop", "fruits", "refs/pr/3")),
        ("HF://shop/fruits/", HubPlace("shop", "fruits")),
        ("mlflow://fruits", RegisteredPlace("fruits")),
        ("mlflow://fruits and more@champion", RegisteredPlace("fruits and more", "champion")),
        ("mlflow://Früchte/12", RegisteredPlace("Früchte", None, 12)),
    ],
)
def test_what_is_written_is_meant(text: str, place: HubPlace | RegisteredPlace) -> None:
    assert place_of(text) == place
    assert place_of(str(place)) == place


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("shop/fruits", r"^place=shop/fruits: expected hf://<owner>/<name>\[@<branch>\] or mlflow://<name>"),
        ("mlfow://fruits", r"^place=mlfow://\.\.\.: .*another scheme; did you mean mlflow\?"),
        ("hf://fruits", r"^place=hf://fruits: expected hf://<owner>/<name>"),
        ("hf://a/b/c", r"expected hf://<owner>/<name>"),
        ("hf://a/..", r"expected hf://<owner>/<name>"),
        ("hf://a/b--c", r"expected hf://<owner>/<name>"),
        ("hf://a/b@", r"expected a branch, tag or commit behind @"),
        ("hf://a/b@../main", r"expected a branch, tag or commit behind @"),
        ("hf://user:secret@a/b", r"expected hf://<owner>/<name>, found a login in it: leave it out, set HF_TOKEN"),
        ("mlflow://", r"expected the name of a model"),
        ("mlflow://a..b", r"expected the name of a model"),
        ("mlflow://it's", r"expected the name of a model"),
        ("mlflow://a:b", r"expected the name of a model"),
        ("mlflow://a/latest", r"^place=mlflow://a/latest: expected the number of a version"),
        ("mlflow://a/0", r"expected the number of a version"),
        ("mlflow://a/3@b", r"expected the number of a version"),
        ("mlflow://a@b c", r"expected an alias behind @"),
        ("mlflow://a@v1", r"^place=mlflow://a@v1: MLflow keeps this alias for itself: choose another"),
        ("mlflow://a@Latest", r"MLflow keeps this alias for itself"),
    ],
)
def test_anything_else_is_refused_in_a_line(text: str, refused: str) -> None:
    with pytest.raises(SharingError, match=refused) as raised:
        place_of(text)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
