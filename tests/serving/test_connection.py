"""What goes wrong between a client and a service: a line each, no token in it, and no change done twice."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike import Client, LookalikeError, ServiceError
from lookalike.serving import connection
from pretended_services import ABOUT, Answer, Asked, pretending, refusal

TOKEN = "secret-" + "0123456789" * 3
LABELS = Answer(body={"labels": [{"label": "Kiwi", "images": 3, "number": 1}]})
RENAMED = Answer(body={"change": 8, "images": 3})


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for, without waiting."""
    noted: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", noted.append)
    return noted


def ask(client: Client) -> object:
    return client.labels


def change(client: Client) -> object:
    return client.rename("Kiwi", "Kiwi, green")


def refused(address: str, verb: Callable[[Client], object] = ask, **options: Any) -> ServiceError:
    """What a verb raises: one line, without the token."""
    client = Client(address, token=TOKEN, **options)
    with pytest.raises(ServiceError, match=r"\S") as raised:
        verb(client)
    error: BaseException | None = raised.value
    while error is not None:
        assert TOKEN not in f"{error} {error!r} {error.args}"
        error = error.__cause__
    assert "\n" not in str(raised.value)
    assert TOKEN not in repr(client)
    return raised.value


def one_after_the_other(*answers: Answer) -> Callable[[Asked], Answer]:
    left = list(answers)
    return lambda _: left.pop(0)


def test_a_question_is_asked_again_while_the_service_is_busy(waits: list[float]) -> None:
    busy = (refusal(503, "busy"), refusal(503, "store"), Answer(503, b"wait", "text/plain"))
    with pretending(one_after_the_other(*busy, LABELS)) as (address, asked):
        assert Client(address).labels == {"Kiwi": 3}
    assert [request.path for request in asked] == ["/v1/gallery", *["/v1/labels"] * 4]
    assert all(1 <= wait <= 1.25 for wait in waits[:2]), "as Retry-After says"
    assert waits[2] > 0.5


def test_a_question_is_not_asked_for_ever(waits: list[float]) -> None:
    with pretending(lambda _: refusal(503, "busy", "64 requests wait already")) as (address, asked):
        error = refused(address)
    assert (str(error), error.status, error.code) == ("64 requests wait already", 503, "busy")
    assert (len(asked), len(waits)) == (5, 3)


def test_a_change_is_sent_again_where_surely_nothing_was_done() -> None:
    with pretending(one_after_the_other(refusal(503, "busy"), refusal(503, "busy"), RENAMED)) as (address, asked):
        client = Client(address)
        assert (change(client), client.last_change) == (3, 8)
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (refusal(503, "store", "the server was lost"), "the server was lost"),
        (refusal(503, "too_late", "took too long"), r"took too long; whether it was done is not known: log\(\) says"),
        (Answer(503, b"<html>", "text/html"), "answers 503 with text/html, as no service of lookalike does"),
        (Answer(0), r"the connection broke before the answer came .*: whether it was done is not known: log\(\) says"),
        (refusal(500, "fault", "a fault"), "a fault"),
    ],
)
def test_a_change_is_not_sent_again_where_it_may_be_done(answer: Answer, text: str) -> None:
    with pretending(lambda _: answer) as (address, asked):
        error = refused(address, change)
    with pytest.raises(ServiceError, match=text):
        raise error
    assert len(asked) == 2


def test_a_change_that_failed_is_not_the_last_one() -> None:
    with pretending(one_after_the_other(RENAMED, refusal(422, "gallery"))) as (address, _):
        client = Client(address)
        change(client)
        assert client.last_change == 8
        with pytest.raises(ServiceError, match="not now"):
            change(client)
        assert client.last_change is None


def test_too_late_is_not_asked_again() -> None:
    with pretending(lambda _: refusal(503, "too_late", "took longer than 30 seconds")) as (address, asked):
        assert str(refused(address)) == "took longer than 30 seconds"
    assert len(asked) == 2


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_nobody_is_there() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    error = refused(address)
    assert str(error) == (
        f"{address}: cannot be reached (Connection refused): start it with lookalike serve, or check the address"
    )
    assert (error.status, error.code) == (None, "unreachable")


def test_a_service_that_went_away_changed_nothing() -> None:
    with pretending(lambda _: LABELS) as (address, _):
        client = Client(address)
        assert client.labels
        client.close()
    with pytest.raises(ServiceError, match=r"cannot be reached \(Connection refused\): .*; nothing was changed$"):
        change(client)


def test_a_name_that_no_computer_has() -> None:
    with pytest.raises(ServiceError, match=r"http://no-such\.invalid: cannot be reached \(.*\): start it with"):
        raise refused("http://no-such.invalid")


def test_a_name_that_is_none() -> None:
    with pytest.raises(ServiceError, match=r"^http://\.\.x: (no address of a computer|cannot be reached)"):
        raise refused("http://..x")


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        (ask, "no answer within 0.2 seconds: give Client a longer timeout=, or ask for less at a time"),
        (change, r"no answer within 0.2 seconds: whether it was done is not known: log\(\) says"),
    ],
)
def test_silence(verb: Callable[[Client], object], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def silent(_: Asked) -> Answer:
        ended.wait(5)
        return LABELS

    with pretending(silent) as (address, asked):
        with pytest.raises(ServiceError, match=text):
            raise refused(address, verb, timeout=0.2)
        ended.set()
    assert len(asked) == 2


@pytest.mark.parametrize("content", [b"<html>welcome</html>", b"[1, 2]", b"7", b"", b"{" * 100_000])
def test_another_site_is_told(content: bytes) -> None:
    with pretending(lambda _: Answer(200, content, "text/html; charset=utf-8"), about=None) as (address, _):
        error = refused(address)
    with pytest.raises(
        ServiceError, match="answers 200 with text/html, as no service of lookalike does: check the add"
    ):
        raise error
    assert error.code == "no_service"


@pytest.mark.parametrize("body", [{"error": "no"}, {"error": {"code": 3, "message": "x"}}, {}, [], "no"])
def test_a_refusal_of_another_program_is_told(body: object) -> None:
    with pretending(lambda _: Answer(404, body), about=None) as (address, _):
        assert refused(address).code == "no_service"


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (2, "answers in schema 2, understood is 1: pip install -U lookalike here"),
        (None, "answers in schema None, understood is 1: pip install -U lookalike there, and start it again"),
        (0, "answers in schema 0, .* there, and"),
    ],
)
def test_another_version_is_told(schema: object, text: str) -> None:
    with pretending(lambda _: LABELS, about={**ABOUT, "schema": schema}) as (address, asked):
        error = refused(address, change)
    with pytest.raises(ServiceError, match=text):
        raise error
    assert len(asked) == 1, "nothing else was sent"


@pytest.mark.parametrize(
    ("body", "verb"),
    [
        ({"labels": [{"label": "Kiwi"}]}, ask),
        ({"labels": 3}, ask),
        ({"images": 3}, change),
        ({"images": [], "change": 2}, change),
    ],
)
def test_an_answer_of_another_form_is_told(body: object, verb: Callable[[Client], object]) -> None:
    with pretending(lambda _: Answer(body=body)) as (address, _):
        error = refused(address, verb)
    with pytest.raises(ServiceError, match=r"answers something else than was asked for \(.*\): update lookalike"):
        raise error


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[Asked]]]:
    """Another site, which would take a token."""
    with pretending(lambda _: LABELS) as (address, asked):
        yield address, asked


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("verb", [ask, change])
def test_no_token_goes_to_another_place(
    status: int, verb: Callable[[Client], object], elsewhere: tuple[str, list[Asked]]
) -> None:
    there, asked_there = elsewhere
    with pretending(lambda _: Answer(status, b"", headers={"Location": f"{there}/v1/labels"})) as (address, asked):
        error = refused(address, verb)
    with pytest.raises(
        ServiceError, match=r"leads to http://127\.0\.0\.1, where nothing was sent: give Client the addr"
    ):
        raise error
    assert (error.status, error.code) == (status, "redirect")
    assert [request.headers["authorization"] for request in asked] == [f"Bearer {TOKEN}"] * 2
    assert asked_there == []


def test_a_service_that_repeats_the_token_is_not_quoted() -> None:
    with pretending(lambda asked: refusal(422, "gallery", f"got {asked.headers['authorization']}")) as (address, _):
        assert str(refused(address)) == "got Bearer <token>"


def test_passwords_of_netrc_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("default login anna password wrong\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with pretending(lambda _: LABELS) as (address, asked):
        for token in (None, TOKEN):
            assert Client(address.replace("127.0.0.1", "localhost"), token=token).labels
    assert [request.headers.get("authorization") for request in asked] == [None, None, *[f"Bearer {TOKEN}"] * 2]


def test_no_proxy_stands_between_two_programs_of_one_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with pretending(lambda _: LABELS) as (address, _):
        assert Client(address).labels


def test_a_wrong_token_and_none_are_told_apart() -> None:
    with pretending(lambda _: refusal(401, "token", "expected a token"), about=None) as (address, _):
        assert str(refused(address)).endswith("asks for a token: the one that was given is not among them")
        with pytest.raises(ServiceError, match="asks for a token: give Client its token=") as raised:
            ask(Client(address))
    assert (raised.value.status, raised.value.code) == (401, "token")


def test_https_where_there_is_none() -> None:
    with pretending(lambda _: LABELS) as (address, _):
        error = refused(address.replace("http:", "https:"))
    with pytest.raises(ServiceError, match=r"no safe connection \(.*\): .*, or give http:// where it has none"):
        raise error


@pytest.mark.parametrize(
    "address",
    [
        "",
        "shop",
        "127.0.0.1:8000",
        "ftp://shop",
        "http://",
        "http:///x",
        "http://shop:99999",
        "http://shop?a=b",
        None,
        7,
    ],
)
def test_what_is_no_address_is_refused(address: Any) -> None:
    with pytest.raises(ServiceError, match=r"expected an address such as http://127\.0\.0\.1:8000"):
        Client(address)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ServiceError, match="without a user: give the token as token=") as raised:
        Client(f"http://anna:{TOKEN}@shop")
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("token", ["", " ", f"{TOKEN} x", f"{TOKEN}\n", f"\t{TOKEN}", f"{TOKEN}é"])
def test_a_token_that_no_header_holds_is_refused(token: str) -> None:
    with pytest.raises(ServiceError, match="token: expected letters of ASCII without blanks") as raised:
        Client("http://shop", token=token)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "30", None, True])
def test_a_time_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(LookalikeError, match=r"timeout=.*: expected seconds, more than 0"):
        Client("http://shop", timeout=timeout)


def test_a_path_in_front_of_a_service_is_kept() -> None:
    with pretending(lambda asked: LABELS if asked.path == "/shop/v1/labels" else Answer(body=ABOUT), None) as (
        address,
        _,
    ):
        assert Client(f"{address}/shop/").labels == {"Kiwi": 3}


def test_every_thread_has_a_connection_of_its_own() -> None:
    def slow(_: Asked) -> Answer:
        threading.Event().wait(0.05)
        return LABELS

    with pretending(slow) as (address, asked):
        client = Client(address)
        results: list[object] = []
        threads = [threading.Thread(target=lambda: results.append([ask(client) for _ in range(5)])) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 1.5, "side by side"
        client.close()
    assert results == [[{"Kiwi": 3}] * 5] * 8
    assert len(asked) >= 41
