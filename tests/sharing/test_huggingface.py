"""Push to and pull from the Hub, against a server that speaks its protocol."""

import json
import socket
from pathlib import Path

import pytest

from hub_server import READER, TOKEN, Hub
from lookalike.cli.main import main
from lookalike.inference.bundle import BundleError, load_bundle
from lookalike.sharing import huggingface
from lookalike.sharing.huggingface import without_token
from lookalike.sharing.places import SharingError
from lookalike.sharing.travel import pull, push


def test_a_bundle_comes_back_as_it_was_sent(
    bundle_path: Path, hub: Hub, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["push", f"bundle={bundle_path}", "place=hf://shop/digits", "data_license=mit", "private=true", "--json"])
        == 0
    )
    sent = json.loads(capsys.readouterr().out)["result"]["pushed"]
    assert hub.repositories["shop/digits"].private
    files = hub.files("shop/digits")
    assert sent["files"] == len(files) == 8
    assert sent["bytes"] == sum(map(len, files.values()))
    assert main(["pull", "place=hf://shop/digits", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["written"] == ["models/digits"]
    assert answer["result"]["place"] == sent["place"]
    pulled, own = load_bundle(here / "models" / "digits"), load_bundle(bundle_path)
    assert pulled.fingerprint == own.fingerprint
    assert pulled.references.paths == own.references.paths
    assert sorted(file.name for file in pulled.path.iterdir()) == sorted(file.name for file in own.path.iterdir())


def test_branch_and_commit_are_what_they_were(bundle_path: Path, hub: Hub, here: Path) -> None:
    first = push(bundle_path, "hf://shop/digits", data_license="mit")
    second = push(bundle_path, "hf://shop/digits@next", data_license="cc0-1.0")
    assert pull("hf://shop/digits@next", here / "next").place == second.place
    assert "license: cc0-1.0" in (here / "next" / "README.md").read_text()
    assert pull(first.place, here / "first").place == first.place
    assert "license: mit" in (here / "first" / "README.md").read_text()
    again = pull("hf://shop/digits", here / "first")
    assert again.kept is not None
    assert load_bundle(again.kept).fingerprint == again.bundle.fingerprint


def test_only_what_the_bundle_lists_is_fetched(bundle_path: Path, hub: Hub, here: Path) -> None:
    push(bundle_path, "hf://shop/digits", data_license="mit")
    hub.repositories["shop/digits"].commit(
        "main", {"pytorch_model.bin": b"\x80\x04cposix\nsystem\n", "gallery/x.pkl": b"x"}
    )
    pull("hf://shop/digits", here / "own")
    assert not list((here / "own").rglob("*.pkl"))
    assert not (here / "own" / "pytorch_model.bin").exists()
    assert not any("pytorch_model" in line for line in hub.asked)


@pytest.mark.parametrize("damaged", ["model.bin", "config.json", "gallery/rows.csv"])
def test_what_is_damaged_there_takes_nothing_of_ours(bundle_path: Path, hub: Hub, here: Path, damaged: str) -> None:
    push(bundle_path, "hf://shop/digits", data_license="mit")
    pull("hf://shop/digits", here / "own")
    whole = hub.files("shop/digits")[damaged]
    hub.repositories["shop/digits"].commit("main", {damaged: whole[:-9] + b"x" * 9})
    with pytest.raises(BundleError, match="copy the bundle again"):
        pull("hf://shop/digits", here / "own")
    assert load_bundle(here / "own").references
    assert [path.name for path in here.iterdir() if not path.name.startswith(".")] == ["own"]


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "HTTP 401: the token is missing, wrong or out of date: hf auth login, or set HF_TOKEN"),
        (403, "HTTP 403: the token may not do this"),
        (404, "HTTP 404: nothing is there, or it is private"),
        (429, "HTTP 429: too many requests: try again later"),
        (500, "HTTP 500: its fault, not yours: try again later"),
    ],
)
def test_what_the_hub_refuses_is_a_line_without_the_token(
    status: int, line: str, bundle_path: Path, hub: Hub, here: Path
) -> None:
    hub.status = status
    for ask in (
        lambda: push(bundle_path, "hf://shop/digits", data_license="mit"),
        lambda: pull("hf://shop/digits", here / "own"),
    ):
        with pytest.raises(SharingError, match=line) as raised:
            ask()
        assert TOKEN not in str(raised.value)
        assert "\n" not in str(raised.value)
    assert not list(here.iterdir())


def test_rights_names_and_licence(bundle_path: Path, hub: Hub, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SharingError, match=r"^data_license: expected the licence of the photographs .*, found none"):
        push(bundle_path, "hf://shop/digits")
    push(bundle_path, "hf://shop/digits", data_license="mit", private=True)
    with pytest.raises(SharingError, match="HTTP 404: nothing is there"):
        pull("hf://shop/digits@v9", here / "own")
    hub.repositories["shop/other"] = type(hub.repositories["shop/digits"])(
        False, {"main": "0" * 40}, {"0" * 40: {"a": b"b"}}
    )
    with pytest.raises(SharingError, match=r"^hf://shop/other: no config\.json there, so no bundle"):
        pull("hf://shop/other", here / "own")
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(SharingError, match="HTTP 403: the token may not do this"):
        push(bundle_path, "hf://shop/digits", data_license="mit")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SharingError, match=r"^hf://shop/digits: no token is known: hf auth login, or set HF_TOKEN"):
        push(bundle_path, "hf://shop/digits", data_license="mit")
    with pytest.raises(SharingError, match="HTTP 401: the token is missing"):
        pull("hf://shop/digits", here / "own")
    assert not list(here.iterdir())


def test_without_a_network(bundle_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://me:s3cret@127.0.0.1:{port}")
    with pytest.raises(
        SharingError, match=rf"http://127\.0\.0\.1:{port} cannot be reached \(ConnectionError\)"
    ) as raised:
        pull("hf://shop/digits", here / "own")
    assert "s3cret" not in str(raised.value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(huggingface, "_SECONDS", (0.2, 0.2))
        with pytest.raises(SharingError, match=r"cannot be reached \(ReadTimeout\)"):
            push(bundle_path, "hf://shop/digits", data_license="mit")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(SharingError, match="HF_HUB_OFFLINE is set, and the Hub is needed: unset it"):
        pull("hf://shop/digits", here / "own")


def test_a_token_is_never_in_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "quite-own")
    assert (
        without_token("401 for hf_abcDEF12, quite-own; Authorization: Bearer xyz.1")
        == "401 for ***, ***; Authorization: ***"
    )
