"""The log of a service: each line is a time and an object of JSON, whoever wrote it and whatever names are in it."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from traceback import extract_tb
from typing import TextIO

from lookalike.console import said_to
from lookalike.errors import one_line

LOG = logging.getLogger("lookalike.serving")
_OTHERS = (("uvicorn.error", logging.ERROR), ("asyncio", logging.ERROR), ("py.warnings", logging.WARNING))


@contextmanager
def log_to(stream: TextIO) -> Iterator[None]:
    """Lines go to a stream until the block ends: of requests, of the server, and what the program says by the way.

    Args:
        stream: Such as standard error.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines())
    names = [(LOG.name, logging.INFO), *_OTHERS]
    before = [(log, log.handlers, log.propagate, log.level) for log in (logging.getLogger(name) for name, _ in names)]
    for name, level in names:
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(level)
    logging.captureWarnings(True)
    try:
        with said_to(lambda text: LOG.info(json.dumps({"said": text}))):
            yield
    finally:
        logging.captureWarnings(False)
        for log, handlers, propagate, number in before:
            log.handlers, log.propagate = handlers, propagate
            log.setLevel(number)


def fault_of(error: BaseException) -> dict[str, str]:
    """What a fault of the program is, for its log: kind, text, and the last line of ours that it went through."""
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if "lookalike" in Path(frame.filename).parts] or frames
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    return {"fault": type(error).__name__, "text": one_line(error), "where": where}


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name != LOG.name:
            error = record.exc_info[1] if record.exc_info else None
            text = json.dumps({"log": record.name, "said": one_line(text), **(fault_of(error) if error else {})})
        return f"{datetime.fromtimestamp(record.created).astimezone().isoformat(timespec='milliseconds')} {text}"
