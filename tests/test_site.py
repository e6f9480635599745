"""The documentation as a site: it is built without a warning, and reading it asks no other host for anything."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import lookalike
from lookalike.cli.verbs import VERBS

ROOT = Path(__file__).parents[1]
FETCHED = {  # elements -> the attribute that a browser fetches without being asked; of <link> see below
    **dict.fromkeys(("script", "img", "iframe", "source", "video", "audio", "embed", "input", "track"), "src"),
    "object": "data",
}
_OF_STYLE = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


class Sources(HTMLParser):
    """What a browser fetches to show a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.sources.append(values.get("href", ""))
        self.sources.append(values.get(FETCHED.get(tag, ""), ""))
        self.sources += values.get("srcset", "").split()[::2]
        self.sources += styled(values.get("style", ""))


def styled(text: str) -> list[str]:
    """What a style sheet fetches."""
    return [first or second for first, second in _OF_STYLE.findall(text)]


def foreign(sources: list[str]) -> list[str]:
    return [source for source in sources if re.match(r"(?i)(https?:)?//", source.strip())]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_a_foreign_source_is_seen() -> None:
    page = '<script src="//a.b/c.js"></script><link rel=stylesheet href=https://a.b/d.css><p style="background:url(http://a)">'
    assert len(foreign(Sources(page).sources)) == 3
    assert foreign(styled('@import "https://a.b/c.css"; .a {background: url(../b.png)}')) == ["https://a.b/c.css"]


@pytest.mark.slow
def test_nothing_is_fetched_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= 35
    for page in pages:
        assert foreign(Sources(page.read_text("utf-8")).sources) == [], page
    for sheet in site.rglob("*.css"):
        assert foreign(styled(sheet.read_text("utf-8"))) == [], sheet


@pytest.mark.slow
def test_the_reference_has_every_public_name_verb_and_setting(site: Path) -> None:
    python = (site / "reference" / "python.html").read_text("utf-8")
    for name in lookalike.__all__:
        assert f'id="lookalike.{lookalike._PLACES[name]}.{name}"' in python, name
    settings = (site / "reference" / "settings.html").read_text("utf-8")
    for verb in VERBS:
        assert f'id="{verb.replace(" ", "-")}"' in settings, verb
    for setting in ("trainer.max_epochs", "data.validation_share", "false_accept_rate", "tune.loss.margin_degrees.low"):
        assert f"<code>{setting}</code>" in settings, setting


@pytest.mark.slow
def test_lists_and_tables_are_what_they_are_on_github(site: Path) -> None:
    """A list or a table right behind a line of text is one on GitHub, and none for MkDocs."""
    for page in site.rglob("*.html"):
        text = re.sub(r"(?s)<(pre|code|script|style)\b.*?</\1>", "", page.read_text("utf-8"))
        for paragraph in re.findall(r"(?s)<p>(.*?)</p>", text):
            assert not re.search(r"(?m)^ *(?:- |\* |1\. |\|.*\|$)", paragraph), f"{page.name}: {paragraph[:200]}"
