"""Pages opened in a real browser, where there is one; where CI is set there must be."""

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    not BROWSER and not os.environ.get("CI"), reason="no chromium here to open the page with"
)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def opened(page: Path, home: Path, *, dark: bool = False) -> str:
    """The page's elements after its scripts ran; whatever it writes to the console fails the test.

    Args:
        page: An HTML file.
        home: Folder for the browser's own files.
        dark: Whether the reader prefers dark pages.
    """
    assert BROWSER, "install chromium: this must not be skipped where CI is set"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--enable-logging=stderr", "--dump-dom"]
    options += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--virtual-time-budget=5000"]
    command = [BROWSER, *options, f"--user-data-dir={home / 'browser'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def asked(script: str, page: Path, home: Path, *, dark: bool = False) -> str:
    """What a script finds on a page after the page's own has run, as text.

    Args:
        script: Of JavaScript; the body of a function that returns a text.
        page: An HTML file; a copy is opened without its policy, which lets no other script run.
        home: Folder for the copy and the browser's own files.
        dark: Whether the reader prefers dark pages.
    """
    text, policies = _POLICY.subn("", page.read_text(encoding="utf-8"))
    assert policies == 1
    run = f'document.getElementById("answer").textContent = (() => {{{script}}})()'
    asking = f'<pre id="answer"></pre><script>{run}</script>'
    copy = home / f"asked-{page.name}"
    copy.write_text(text.replace("</body>", f"{asking}</body>"), encoding="utf-8")
    answer = re.search(r'<pre id="answer">(.*?)</pre>', opened(copy, home, dark=dark), re.DOTALL)
    assert answer
    return html.unescape(answer[1])


def stands_alone(page: str) -> bool:
    """Whether nothing in a page points to another file or to a network (names of namespaces aside)."""
    rest = re.sub(r"http://www\.w3\.org/\S*", "", page)
    return not re.search(r"https?://|src=\"(?!data:)|href=\"(?!#|data:)|@import|url\((?!#)", rest)
