"""The page of a service for everybody: two languages, light and dark, phones, screen readers, tokens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Route, expect

import lookalike.serving
from browser import contrast, needs_browser
from lookalike import Model
from lookalike.palette import INK, PAPER, VARIABLES
from opened_page import Opened, one_browser, opened, photographs, served, shop_of
from services import Running, write_tokens

PAGE = Path(lookalike.serving.__file__).parent / "page"
PARTS = ("ask", "gallery", "label/Kiwi", "log", "unknown", "health")
WRITE, READ = "write-token-of-the-tests", "read-token-of-the-tests"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
BETWEEN_BARS = """(element) => {
  const edge = (name) => document.querySelector(name).getBoundingClientRect();
  const { top, bottom } = element.getBoundingClientRect();
  return top >= edge("header").bottom && bottom <= edge("nav").top;
}"""
PLURALS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with one_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.pretrained("efficientnet_lite0")


@pytest.fixture(scope="module")
def closed_shop(produce: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = shop_of(produce, model, tmp_path_factory.mktemp("closed") / "shop")
    (shop / "days.json").write_text('{"2026-05-04": [40, 10], "2026-05-05": [20, 1]}')
    (shop / "unknown").mkdir()
    for file in [*photographs(produce, "Watermelon", 5, 8), *photographs(produce, "Ginger", 5, 6)]:
        (shop / "unknown" / file.name).write_bytes(file.read_bytes())
    return shop


@pytest.fixture(scope="module")
def shop(closed_shop: Path, tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[Running]:
    with served(closed_shop, tmp_path_factory.mktemp("open") / "shop", model) as service:
        gallery = service.service.gallery
        gallery.move([image.number for image in gallery.images("Kiwi")[:2]], "Leek")
        yield service


@pytest.fixture(scope="module")
def guarded(closed_shop: Path, tmp_path_factory: pytest.TempPathFactory, model: Model) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("guarded")
    tokens = write_tokens(home / "tokens.txt", f"write {WRITE}", f"read {READ}")
    with served(closed_shop, home / "shop", model, f"tokens={tokens}") as service:
        yield service


def texts(language: str) -> dict[str, str | dict[str, str]]:
    return json.loads((PAGE / f"texts.{language}.json").read_text(encoding="utf-8"))


def test_both_languages_say_the_same() -> None:
    english, russian = texts("en"), texts("ru")
    assert list(english) == list(russian)
    for key in english:
        said, other = english[key], russian[key]
        assert isinstance(said, str) or set(said) == PLURALS["en"], key
        assert isinstance(other, str) or set(other) == PLURALS["ru"], key
        assert isinstance(said, str) == isinstance(other, str), key
        assert places(said) == places(other), key
        words = other if isinstance(other, str) else "".join(other.values())
        assert re.search("[а-яё]", words.lower()) or not re.sub(r"\{.*?\}|[\W\d]", "", words), f"{key}: {words}"


def places(said: str | dict[str, str]) -> set[str]:
    """The values in a text."""
    return set(re.findall(r"\{[\w:]+\}", said if isinstance(said, str) else said["other"]))


def test_every_text_is_used_and_there() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in PAGE.iterdir() if file.suffix in (".js", ".html"))
    quoted = set(re.findall(r'"([a-z]+(?:\.[a-zA-Z]+)*)"', sources))
    made = {key for key in texts("en") if key.startswith(("action.", "error."))}  # by what the service says
    assert set(texts("en")) <= quoted | made
    keys = set(re.findall(r'(?:data-text|data-label|data-placeholder)="([^"]+)"', sources))
    keys |= {key for key in quoted if "." in key and not key.endswith((".js", ".json", ".jpg"))}
    assert keys <= set(texts("en"))


def test_data_never_becomes_markup() -> None:
    """And neither styles nor scripts stand in the page, which its policy would refuse."""
    for file in PAGE.glob("*.js"):
        source = file.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|https?://(?!www\.w3)", source
        )
        assert len(source.splitlines()) <= 160, f"{file.name}: has more than one job"
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! type=\"module\" src)|https?://", page)


def test_colours_come_from_the_palette() -> None:
    style = "".join((PAGE / name).read_text(encoding="utf-8") for name in ("style.css", "views.css"))
    assert not re.findall(r"(?i)#(?:[0-9a-f]{3}|[0-9a-f]{6})\b|rgb|hsl", style)
    assert set(re.findall(r"var\(--([\w-]+)", style)) <= {*VARIABLES, *re.findall(r"--([\w-]+):", style)}


@needs_browser
@pytest.mark.parametrize("paper", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, shop: Running, produce: Path, paper: str) -> None:
    with opened(browser, shop.address, dark=paper == "dark", without_policy=True) as screen:
        page = screen.page
        page.locator("#more summary").click()
        screen.ask(*photographs(produce, "Watermelon", 9, 10))
        page.locator("#limit-on").uncheck()
        screen.press("It is …", screen.ask(*photographs(produce, "Banana", 6, 7)))
        assert faults(screen) == []
        colours = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert contrast(colours[0], getattr(PAPER, paper)) == 1
        assert contrast(colours[1], getattr(INK, paper)) == 1
        for part in PARTS[1:]:
            screen.show(part)
            ready(screen, part)
            if part in ("gallery", "label/Kiwi"):
                page.locator("main :visible[type=checkbox]").first.check()
            assert faults(screen) == [], part
        screen.show("gallery")
        screen.press("Forget for good", page.locator("#label-bar"))
        assert faults(screen) == [], "dialog"


def ready(screen: Opened, part: str) -> None:
    """Waits until a part shows what it is for."""
    place = {"log": "#log-list li", "unknown": ".group", "health": ".days", "gallery": "#label-list li"}
    expect(screen.page.locator(place.get(part, "#image-list li" if "label" in part else "#drop")).first).to_be_visible()


def faults(screen: Opened) -> list[str]:
    page = screen.page
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(content=Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
    made = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    assert len(made["passes"]) > 15, "axe looked"
    found = made["violations"]
    return [f"{fault['id']}: {node['target']} {node['failureSummary']}" for fault in found for node in fault["nodes"]]


@needs_browser
@pytest.mark.parametrize("language", ["en-GB", "ru-RU"])
def test_a_phone_shows_all_without_scrolling_sideways(
    browser: Browser, shop: Running, produce: Path, language: str
) -> None:
    with opened(browser, shop.address, phone=True, language=language) as screen:
        page = screen.page
        expect(page.locator("#photograph")).to_have_attribute("capture", "environment")
        screen.ask(*photographs(produce, "Banana", 6, 7), *photographs(produce, "Watermelon", 9, 10))
        page.locator("#more summary").click()
        for part in PARTS:
            page.evaluate("part => { location.hash = `#/${part}`; }", part)
            ready(screen, part)
            if part in ("gallery", "label/Kiwi"):
                page.locator("main :visible[type=checkbox]").first.check()
            assert screen.width_beyond() <= 0, part
            assert small_targets(screen) == [], part


@needs_browser
def test_a_small_phone_shows_the_first_answer_and_the_field(browser: Browser, shop: Running, produce: Path) -> None:
    with opened(browser, shop.address, phone=True, without_policy=True) as screen:
        page = screen.page
        page.set_viewport_size({"width": 360, "height": 640})
        page.locator("#more summary").click()
        page.locator("#limit-on").uncheck()
        page.locator("#more summary").click()
        for file in photographs(produce, "Banana", 6, 8):
            card = screen.ask(file)
            page.wait_for_function(f"() => ({BETWEEN_BARS})(document.querySelector('.answer h2'))")
            screen.press("It is …", card)
            expect(card.get_by_label("What is it really?")).to_be_focused()
            page.wait_for_function(f"() => ({BETWEEN_BARS})(document.activeElement)")
            page.locator("h1:visible").focus()


def small_targets(screen: Opened) -> list[str]:
    """Buttons, fields and boxes that a thumb would miss; what a label around one adds to it counts."""
    return screen.page.evaluate("""() => [...document.querySelectorAll("button, select, input, summary, nav a")]
      .filter((element) => element.checkVisibility() && !element.closest("[hidden]"))
      .map((element) => element.closest("label, .box") || element)
      .filter((element) => Math.round(element.getBoundingClientRect().height) < 44)
      .map((element) => element.outerHTML.slice(0, 120))""")


@needs_browser
def test_russian_is_chosen_by_the_browser_or_by_hand(browser: Browser, shop: Running, produce: Path) -> None:
    with opened(browser, shop.address, language="ru-RU") as screen:
        page = screen.page
        expect(page.locator("html")).to_have_attribute("lang", "ru")
        expect(page.locator("#counts")).to_have_text("12 фото · 3 метки")
        card = screen.ask(*photographs(produce, "Watermelon", 9, 10))
        expect(card.get_by_role("heading", level=2)).to_have_text("Неизвестно")
        screen.show("gallery")
        expect(page.locator("#gallery-shown")).to_have_text("3 метки")
        page.get_by_label("Найти метку").fill("kiwi")
        expect(page.locator("#gallery-shown")).to_have_text("Найдена 1 метка")
        page.get_by_label("Язык").select_option("en")
        expect(page.locator("#counts")).to_have_text("12 images · 3 labels")
        expect(page.locator("#gallery-shown")).to_have_text("1 label found")
        page.reload()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.get_by_role("heading", level=1)).to_have_text("Gallery")


@needs_browser
def test_a_token_is_asked_for_and_kept_in_the_tab(browser: Browser, guarded: Running, produce: Path) -> None:
    with opened(browser, guarded.address, refusals=(401,)) as screen:
        page = screen.page
        sign_in(screen, "no token of this service")
        expect(page.locator("#signin-error")).to_contain_text("This token is not valid.")
        sign_in(screen, WRITE)
        expect(page.locator("#view-ask")).to_be_visible()
        card = screen.ask(*photographs(produce, "Banana", 6, 7))
        for image in card.locator(".neighbours img").all():
            expect(image).to_have_js_property("naturalWidth", 160)
            assert str(image.get_attribute("src")).startswith("blob:")
        expect(card.get_by_role("button", name="Right")).to_be_visible()
        kept = page.evaluate(
            "[Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href]"
        )
        assert kept[0] == [WRITE]
        assert WRITE not in str(kept[1:])
        page.reload()
        expect(page.locator("#view-ask")).to_be_visible()
        screen.press("Sign out")
        expect(page.locator("#view-signin")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0


def sign_in(screen: Opened, token: str) -> None:
    screen.page.get_by_label("Token").fill(token)
    screen.press("Sign in")


@needs_browser
def test_who_may_only_read_sees_nothing_that_changes(browser: Browser, guarded: Running, produce: Path) -> None:
    changing = re.compile(
        "Right|It is|Enrol|Move|Remove|Rename|Merge|Forget|Discard|Undo|Add pictures|Keep|Choose [^p]"
    )
    with opened(browser, guarded.address, refusals=(401,)) as screen:
        sign_in(screen, READ)
        page = screen.page
        screen.ask(*photographs(produce, "Banana", 6, 7), *photographs(produce, "Watermelon", 9, 10))
        for part in PARTS:
            page.evaluate("part => { location.hash = `#/${part}`; }", part)
            ready(screen, part)
            for role in ("button", "checkbox", "switch", "textbox"):
                expect(page.get_by_role(role, name=changing)).to_have_count(0)


@needs_browser
def test_photographs_chosen_before_the_gallery_is_there_are_asked_when_it_is(
    browser: Browser, guarded: Running, produce: Path
) -> None:
    with opened(browser, guarded.address, refusals=(401,)) as screen:
        held: list[Route] = []
        screen.page.route("**/v1/labels", lambda route: held.append(route))  # signing in waits for it
        with screen.page.expect_request("**/v1/labels"):
            sign_in(screen, READ)
        screen.page.locator("#choose").set_input_files(photographs(produce, "Banana", 6, 7))
        expect(screen.page.locator("#answers .waiting")).to_have_count(1)
        expect(screen.page.locator("body")).to_have_attribute("data-state", "signed-out")
        for route in held:
            route.continue_()
        expect(screen.page.locator(".answer.waiting")).to_have_count(0)
        expect(screen.page.locator(".answer").first).to_contain_text("Banana")
