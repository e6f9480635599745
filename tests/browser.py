"""Pages opened in a real browser, where there is one; where CI is set there must be."""

import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
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


def faint_texts(page: Path, home: Path, *, dark: bool) -> list[str]:
    """Colours of text, drawn text included, whose contrast with the paper is below 4.5 (WCAG 2.1), and the paper.

    Coloured marks, numbers in cells of a heat map and what a person cannot use yet are no text in this sense.
    """
    script = """
        const paper = getComputedStyle(document.body).backgroundColor, colours = new Set();
        for (const element of document.querySelectorAll("h1, h2, p, pre, td, th, figcaption span, .plot text, nav a"))
          colours.add(getComputedStyle(element)[element.closest("svg") ? "fill" : "color"]);
        return JSON.stringify([paper, ...colours]);
    """
    paper, *colours = json.loads(asked(script, page, home, dark=dark))
    assert (_luminance(paper) < 0.05) == dark, f"the paper is {paper}"
    assert len(colours) >= 2
    return [colour for colour in colours if contrast(colour, paper) < 4.5 and colour != "rgb(254, 254, 254)"]


def contrast(colour: str, paper: str) -> float:
    """Of two colours, `#rrggbb` or `rgb(r, g, b)`, as WCAG 2.1 defines it: 1 to 21."""
    low, high = sorted(map(_luminance, (colour, paper)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = [int(colour[place : place + 2], 16) for place in (1, 3, 5)] if colour[0] == "#" else None
    parts = [int(part) / 255 for part in digits or re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class Elements(HTMLParser):
    """What a browser takes from a page without running it.

    Args:
        page: The text of the page.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []  # in order
        self.tables: list[list[list[str]]] = []  # rows of cells
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data.rstrip("\n")
