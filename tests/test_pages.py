"""Templates: every value is data, nothing is left out in silence, and nothing foreign runs."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from browser import Elements, needs_browser, opened, stands_alone
from lookalike import pages
from lookalike.pages import Picture, Table, render

TEMPLATES = Path(pages.__file__).parent / "templates"
HOSTILE = [
    "<b>bold</b>",
    "</script><script>alert(1)</script>",
    "\"' onerror='x'",
    "a & b",
    "{{ 7 * 7 }}",
    "$x^2$",
    "=1+1",
]
SEARCH = {
    "name": "s",
    "sentence": "x",
    "command": "c",
    "title": "mAP",
    "importance": "",
    "progress": "",
    "settings": {},
}
AUDIT = {
    **{"name": "data", "date": "today", "images": 1, "usable": 1, "classes": 1, "left_out": 0},
    **{"leaks": Table([], []), "kinds": []},
}


def test_values_are_data_in_text_and_attributes() -> None:
    picture = Picture(HOSTILE[2], b"", HOSTILE[0], (HOSTILE[1],))
    snippet = render("notebook.html", title=HOSTILE[3], table=Table(HOSTILE, [HOSTILE]), pictures=[[picture]])
    seen = Elements(snippet)
    assert seen.tables == [[HOSTILE, HOSTILE]]
    assert "script" not in seen.tags
    assert seen.tags.count("b") == 1, "the title of the picture, and none of its own"
    assert "49" not in snippet
    assert 'title="&quot;&#x27; onerror=&#x27;x&#x27;"' in snippet


def test_names_that_are_no_unicode_can_be_written() -> None:
    page = render("search.html", **{**SEARCH, "name": "a\udcffb"}, runs=Table(["c\udcff"], [["d\udcff"]]))
    assert "<title>Search a?b</title>" in page
    assert Elements(page).tables == [[["c?"], ["d?"]]]
    page.encode()


def test_what_a_template_names_must_be_given() -> None:
    with pytest.raises(UndefinedError, match="'runs' is undefined"):
        render("search.html", **SEARCH)


def test_json_is_read_back_as_it_was_and_closes_no_script() -> None:
    values = {"names": [*HOSTILE, "果物", "a\udcffb", "\u2028"], "numbers": [1, 0.25, None]}
    page = render("audit.html", **AUDIT, reasons=values)
    block = re.search(r'<script type="application/json" id="reasons">(.*?)</script>', page, re.DOTALL)
    assert block
    assert json.loads(block[1]) == values
    assert page.count("</script>") == 2
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        render("audit.html", **AUDIT, reasons=[float("nan")])


def policy_of(page: str) -> dict[str, str]:
    policies = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert len(policies) == 1
    return dict(part.split(" ", 1) for part in html.unescape(policies[0]).split("; "))


def test_a_page_runs_its_own_script_and_loads_nothing() -> None:
    page = render("search.html", **SEARCH, runs=Table([], []))
    policy = policy_of(page)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script
    assert script[1] == (TEMPLATES / "page.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert stands_alone(page)


def test_a_page_without_a_script_allows_none() -> None:
    values = {"name": "", "sentence": "", "intervals": "", "curves": "", "tables": [], "protocol": "", "runs": []}
    page = render("comparison.html", **values, setting={})
    assert "script-src" not in policy_of(page)
    assert "<script" not in page


@needs_browser
@pytest.mark.parametrize(
    "intruder",
    [
        "<script>document.title = 1</script>",
        '<img src="data:x" onerror="document.title = 1">',
        '<script src="https://example.org/x.js"></script>',
        '<img src="https://example.org/x.png">',
        '<iframe src="https://example.org/"></iframe>',
    ],
)
def test_what_got_into_a_page_neither_runs_nor_loads(intruder: str, tmp_path: Path) -> None:
    """Nothing can get in, as the tests above say; the policy is the second wall."""
    file = tmp_path / "page.html"
    page = render("search.html", **SEARCH, runs=Table([], []))
    file.write_text(page)
    assert "Search s" in opened(file, tmp_path)
    file.write_text(page.replace("</main>", f"{intruder}</main>"))
    with pytest.raises(AssertionError, match="Content Security Policy"):
        opened(file, tmp_path)


def test_pictures_are_inside_the_page() -> None:
    picture = Picture("a/b.jpg", b"\xff\xd8jpeg", width=30, height=60)
    assert picture.uri == "data:image/jpeg;base64,/9hqcGVn"
    snippet = render("notebook.html", title="", table=None, pictures=[[picture, Picture("gone.jpg", b"")]])
    assert f'<img width="30" height="60" alt="a/b.jpg" src="{picture.uri}">' in snippet
    assert snippet.count("no picture") == 1


def test_a_snippet_of_a_notebook_keeps_its_style_to_itself() -> None:
    pictures = [[Picture("q", b""), Picture("r", b"", right=True), Picture("w", b"", right=False)]]
    table = Table(["", ""], [["accuracy@1", "0.8"]], frozenset({1}))
    snippet = render("notebook.html", title="A result", table=table, pictures=pictures)
    assert Elements(snippet).tables == [[["accuracy@1", "0.8"]]], "a table of names and values has no heads"
    assert '<td class="n">0.8</td>' in snippet
    assert [snippet.count(f'<figure class="{kind}"') for kind in ("right", "wrong")] == [1, 1]
    assert snippet.count("<figure") == 3
    style = re.search(r"<style>(.*?)</style>", snippet, re.DOTALL)
    assert style
    for rule in re.findall(r"([^{}]+)\{", style[1]):
        assert all(part.strip().startswith(".lookalike") for part in rule.split(",")), rule
    assert not re.search(r"<script|<html|<body|<main|var\(", snippet)
    assert stands_alone(snippet)


def test_sortable_tables_say_so() -> None:
    page = render("search.html", **SEARCH, runs=Table(["a", "b"], [["1", "2"]], frozenset({1}), sortable=True))
    assert '<table class="sort">' in page
    assert '<th class="n" scope="col">b</th>' in page


def test_importing_it_loads_no_template_engine() -> None:
    """Every command may import it; few write a page."""
    code = "import sys, lookalike.pages; print('jinja2' in sys.modules or 'markupsafe' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
