"""The log of a service: a time and an object of JSON per line, whoever wrote it."""

import io
import logging
import warnings
from pathlib import Path

import pytest

from attacks import exchange, logged, logged_lines, make_gallery, need_honest, request, usual_model, wait_until
from lookalike.console import say
from lookalike.serving.log_lines import LOG, fault_of, log_to
from services import running


def test_every_writer_gets_a_line_of_its_own() -> None:
    stream = io.StringIO()
    with log_to(stream):
        LOG.info('{"request": "a"}')
        say("some labels print alike:\n  Kiwi, \x1b[31mkiwi")
        logging.getLogger("uvicorn.error").warning("not shown")
        warnings.warn("a file\nis odd", stacklevel=1)
        try:
            raise ValueError("one\ntwo")
        except ValueError:
            logging.getLogger("asyncio").exception("Task exception was never\nretrieved")
    lines = logged_lines(stream.getvalue())
    assert lines[:2] == [{"request": "a"}, {"said": r"some labels print alike:\n  Kiwi, \x1b[31mkiwi"}]
    assert lines[2]["log"] == "py.warnings"
    assert "a file is odd" in lines[2]["said"]
    assert lines[3]["said"] == "Task exception was never retrieved"
    assert (lines[3]["fault"], lines[3]["text"]) == ("ValueError", "one two")
    assert len(lines) == 4


def test_everything_is_as_before_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("asyncio")
    before = (log.handlers, log.propagate, log.level)
    with pytest.raises(KeyError), log_to(io.StringIO()):
        raise KeyError
    assert (log.handlers, log.propagate, log.level) == before
    say("to standard error again")
    assert "to standard error again" in capsys.readouterr().err


def test_a_fault_is_placed_in_our_own_lines() -> None:
    try:
        fault_of("no error")  # type: ignore[arg-type]
    except AttributeError as error:
        values = fault_of(error)
    assert values["fault"] == "AttributeError"
    assert values["where"].startswith("log_lines.py:")
    assert fault_of(ValueError("never raised"))["where"] == ""


def test_a_fault_of_the_program_is_told_in_its_log_alone(tmp_path: Path) -> None:
    """The client gets a number to report it by, and no inside of the program."""

    def broken() -> None:
        raise RuntimeError("secret\ninside")

    with logged() as log, running(make_gallery(tmp_path / "shop", usual_model())) as service:
        service.service.labels = broken  # type: ignore[method-assign, assignment]
        reply = exchange(service.address, request("GET", "/v1/labels"))
        error = need_honest(reply, 500, text="a fault of this service, .* X-Request-Id")
        assert reply is not None
        wait_until(lambda: '"status": 500' in log.getvalue(), "a line of the log")
        [line] = [line for line in logged_lines(log.getvalue()) if line.get("status") == 500]
        assert line["request"] == reply.headers["x-request-id"]
        assert (line["fault"], line["text"], line["code"]) == ("RuntimeError", "secret inside", "fault")
        assert "secret" not in error["message"]
        good = exchange(service.address, request("GET", "/v1/gallery"))
        assert good is not None
        assert good.status == 200
    assert "Traceback" not in log.getvalue()
