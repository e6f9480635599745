"""Pages opened in a real browser, where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_browser = pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium here to open the page with")


def opened(page: Path, home: Path) -> str:
    """The page's elements after its scripts ran; whatever it writes to the console fails the test.

    Args:
        page: An HTML file.
        home: Folder for the browser's own files.
    """
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--enable-logging=stderr", "--dump-dom"]
    command = ["chromium", *options, "--virtual-time-budget=5000", f"--user-data-dir={home / 'browser'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def stands_alone(page: str) -> bool:
    """Whether nothing in a page points to another file or to a network (names of namespaces aside)."""
    rest = re.sub(r"http://www\.w3\.org/\S*", "", page)
    return not re.search(r"https?://|src=\"(?!data:)|href=\"(?!#|data:)|@import|url\((?!#)", rest)
