"""The lock names every package with its version and the checksums of its files, and nobody's server."""

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement

LOCK = (Path(__file__).parents[2] / "requirements.lock").read_text()
ENTRIES = re.split(r"(?m)^(?=\S)", LOCK)[1:]


def test_every_package_is_pinned_and_has_checksums() -> None:
    assert len(ENTRIES) > 100
    for entry in ENTRIES:
        first, *rest = entry.strip().removesuffix("\\").split("\\\n")
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[^ ;]+( ; .+)?", first.strip()), first
        assert rest, first
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line.strip()) for line in rest), first


def test_no_server_is_named() -> None:
    assert not re.search(r"://|--index-url|--extra-index-url|--find-links|@ ", LOCK)


def test_everything_that_is_asked_for_is_locked() -> None:
    locked = {re.sub(r"[-_.]+", "-", entry.split("==")[0]).lower() for entry in ENTRIES}
    wanted = [Requirement(line) for line in requires("lookalike") or []]
    names = {re.sub(r"[-_.]+", "-", requirement.name).lower() for requirement in wanted} - {"lookalike"}
    assert names <= locked
