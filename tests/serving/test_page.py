"""The page of a service: photographs are asked and the gallery is taught, as a shop assistant would."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from browser import needs_browser
from lookalike import Model
from opened_page import Opened, one_browser, opened, photographs, served, shop_of
from services import Running

pytestmark = needs_browser
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with one_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.pretrained("efficientnet_lite0")


@pytest.fixture(scope="module")
def closed_shop(produce: Path, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop_of(produce, model, tmp_path_factory.mktemp("closed") / "shop")


@pytest.fixture
def shop(closed_shop: Path, tmp_path: Path, model: Model) -> Iterator[Running]:
    with served(closed_shop, tmp_path / "shop", model) as service:
        yield service


@pytest.fixture
def screen(browser: Browser, shop: Running) -> Iterator[Opened]:
    with opened(browser, shop.address) as screen:
        yield screen


def test_a_photograph_is_named_with_its_neighbours(screen: Opened, shop: Running, produce: Path) -> None:
    (file,) = photographs(produce, "Banana", 6, 7)
    card = screen.ask(file)
    made = shop.service.gallery.predict([file], false_accept_rate=0.05)
    expect(card.get_by_role("heading", level=2)).to_have_text(made[0].label or "")
    assert [f"{neighbour.similarity:.2f}" for neighbour in made[0].neighbours[:6]] == card.locator(
        ".neighbours li span i:last-child"
    ).all_text_contents()
    expect(card.locator(".facts")).to_contain_text(f"{made.threshold:.2f}")
    expect(card.locator(".photograph img")).to_have_js_property("naturalWidth", 348)
    for image in card.locator(".neighbours img").all():
        expect(image).to_have_js_property("naturalWidth", 160)
    expect(screen.page.locator("#status")).to_have_text(f"{file.name}: Banana")
    screen.press("Show 4 more", card)
    expect(card.locator(".neighbours li")).to_have_count(10)


def test_right_enrols_and_undo_takes_it_back(screen: Opened, shop: Running, produce: Path) -> None:
    card = screen.ask(*photographs(produce, "Banana", 6, 7))
    screen.press("Right", card)
    screen.told("1 image enrolled as Banana")
    expect(card.get_by_text("Enrolled as Banana")).to_be_visible()
    expect(screen.page.locator("#counts")).to_have_text("13 images · 3 labels")
    assert shop.service.gallery.labels["Banana"] == 5
    screen.press("Undo")
    screen.told("Taken back: 1 image")
    expect(screen.page.locator("#counts")).to_have_text("12 images · 3 labels")
    screen.press("Right", card)  # the same photograph can be taught again
    screen.told("1 image enrolled as Banana")
    assert shop.service.gallery.labels["Banana"] == 5


def test_it_is_something_else(screen: Opened, shop: Running, produce: Path) -> None:
    card = screen.ask(*photographs(produce, "Banana", 6, 7))
    screen.press("It is …", card)
    field = card.get_by_label("What is it really?")
    expect(field).to_be_focused()
    field.fill(HOSTILE)
    field.press("Enter")
    screen.told(f"1 image enrolled as {HOSTILE}")
    screen.show("gallery")
    expect(screen.page.locator("#label-list b")).to_have_text([HOSTILE, "Banana", "Kiwi", "Leek"])
    screen.page.get_by_role("link", name=HOSTILE).click()
    expect(screen.page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(screen.page.locator("img[src=x]")).to_have_count(0)
    assert shop.service.gallery.labels[HOSTILE] == 1


def test_a_photograph_that_is_known_as_something_else_is_moved(browser: Browser, shop: Running, produce: Path) -> None:
    gallery = shop.service.gallery
    with opened(browser, shop.address, refusals=(422,)) as screen:
        card = screen.ask(sorted((produce / "train" / "Banana").iterdir())[0])
        screen.press("It is …", card)
        card.get_by_label("What is it really?").fill("Leek")
        screen.press("Enrol", card)
        expect(card.get_by_text("It is known as Banana already. Move it to Leek?")).to_be_visible()
        expect(card.get_by_role("button", name="Move to Leek")).to_be_focused()
        expect(screen.page.locator("#alerts .toast")).to_have_count(0)
        screen.press("Move to Leek", card)
        screen.told("1 image moved to Leek")
        expect(card.get_by_text("Enrolled as Leek")).to_be_visible()
        assert gallery.labels == {"Banana": 3, "Kiwi": 4, "Leek": 5}
        screen.press("Undo")
        screen.told("Taken back: 1 image")
        expect(card.get_by_role("button", name="Move to Leek")).to_have_count(0)
        assert gallery.labels == {"Banana": 4, "Kiwi": 4, "Leek": 4}


def test_unknown_photographs_offer_the_labels_of_their_neighbours(screen: Opened, shop: Running, produce: Path) -> None:
    card = screen.ask(*photographs(produce, "Watermelon", 6, 8))
    expect(screen.page.locator(".answer")).to_have_count(2)
    expect(card.get_by_role("heading", level=2)).to_have_text("Unknown")
    expect(card.get_by_role("button", name="Right")).to_have_count(0)
    card.locator(".chips button").first.click()
    expect(card.get_by_text("Enrolled as")).to_be_visible()
    assert len(shop.service.gallery) == 13
    screen.press("Clear all answers")
    expect(screen.page.locator(".answer")).to_have_count(0)


def test_settings_are_sent_and_remembered(screen: Opened, produce: Path) -> None:
    page = screen.page
    page.locator("#more summary").click()
    page.get_by_label("Say “unknown”").uncheck()
    page.get_by_label("Look only among these labels").first.fill("Kiwi")
    page.keyboard.press("Enter")
    card = screen.ask(*photographs(produce, "Banana", 6, 7))
    expect(card.get_by_role("heading", level=2)).to_have_text("Kiwi")
    expect(card.locator(".facts")).to_contain_text("off")
    page.reload()
    expect(page.locator("#limit-on")).not_to_be_checked()
    expect(page.locator("#keep")).to_be_disabled()


def test_what_cannot_be_used_is_told_and_the_others_are_answered(
    browser: Browser, shop: Running, produce: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photographs(produce, "Kiwi", 4, 5)[0].read_bytes()[:500])
    with opened(browser, shop.address, refusals=(422,)) as screen:
        card = screen.ask(broken, *photographs(produce, "Kiwi", 4, 5))
        expect(card.get_by_role("alert")).to_contain_text("This picture cannot be read. (")
        expect(card.get_by_role("button", name="Enrol")).to_have_count(0)
        expect(screen.page.locator(".answer").nth(1).locator(".neighbours li")).to_have_count(6)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_photographs_are_dropped_and_pasted(screen: Opened, produce: Path, way: str) -> None:
    (file,) = photographs(produce, "Banana", 6, 7)
    screen.page.evaluate(
        """([way, content]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0)), data = new DataTransfer();
          data.items.add(new File([bytes], "banana.jpg", { type: "image/jpeg" }));
          const options = { bubbles: true, cancelable: true };
          document.body.dispatchEvent(way === "drop" ? new DragEvent("drop", { ...options, dataTransfer: data })
            : new ClipboardEvent("paste", { ...options, clipboardData: data }));
        }""",
        [way, base64.b64encode(file.read_bytes()).decode()],
    )
    expect(screen.page.locator(".answer").get_by_role("heading", level=2)).to_have_text("Banana")


def test_the_keyboard_alone_is_enough(screen: Opened, shop: Running, produce: Path) -> None:
    page = screen.page
    page.on("filechooser", lambda chooser: None)  # that they are caught is asked of the browser now, and takes a while
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(screen, "#choose")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(photographs(produce, "Banana", 6, 7))
    expect(page.locator(".answer .verdict")).to_have_text("Banana")
    tab_to(screen, ".answer .primary")
    page.keyboard.press("Enter")
    screen.told("1 image enrolled as Banana")
    assert len(shop.service.gallery) == 13


def tab_to(screen: Opened, selector: str) -> None:
    for _ in range(12):
        screen.page.keyboard.press("Tab")
        if screen.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            outline = (
                "getComputedStyle(document.activeElement.closest('.button') || document.activeElement).outlineStyle"
            )
            assert screen.page.evaluate(outline) == "solid", "who uses the keyboard sees where they are"
            return
    raise AssertionError(f"{selector} is not reached by Tab")


def test_an_empty_gallery_is_taught_its_first_label(
    browser: Browser, tmp_path: Path, model: Model, produce: Path
) -> None:
    empty = shop_of(produce, model, tmp_path / "empty", ())
    with served(empty, tmp_path / "shop", model) as service, opened(browser, service.address) as screen:
        expect(screen.page.get_by_text("The gallery is empty. Photograph")).to_be_visible()
        card = screen.ask(*photographs(produce, "Kiwi", 6, 7))
        card.get_by_label("What is it?").fill("Kiwi")
        screen.press("Enrol", card)
        screen.told("1 image enrolled as Kiwi")
        expect(screen.page.locator("#counts")).to_have_text("1 image · 1 label")
        card = screen.ask(*photographs(produce, "Kiwi", 7, 8))
        expect(card.get_by_role("heading", level=2)).to_have_text("Kiwi")
        alone = "With one label everything is called by it: add a second one."
        expect(card.get_by_text(alone)).to_be_visible()
        screen.press("It is …", card)
        card.get_by_label("What is it really?").fill("Leek")
        screen.press("Enrol", card)
        screen.told("1 image enrolled as Leek")
        card = screen.ask(*photographs(produce, "Leek", 7, 8))
        expect(card.locator(".facts")).to_be_visible()
        expect(card.get_by_text(alone)).to_have_count(0)
        screen.show("health")
        expect(screen.page.get_by_role("heading", name="Few images: 2 labels")).to_be_visible()


def test_a_photograph_that_the_browser_cannot_show_is_shown_as_the_service_reads_it(
    browser: Browser, shop: Running, produce: Path, tmp_path: Path
) -> None:
    (file,) = photographs(produce, "Banana", 6, 7)
    with Image.open(file) as picture:
        picture.save(tmp_path / "new.tif")
    (tmp_path / "none.tif").write_bytes(b"none")
    with opened(browser, shop.address, refusals=(422,)) as screen:
        card = screen.ask(tmp_path / "new.tif")
        expect(card.locator(".photograph img")).to_have_js_property("naturalWidth", 480)
        expect(card.get_by_role("heading", level=2)).to_have_text("Banana")
        card = screen.ask(tmp_path / "none.tif")
        expect(card.locator(".photograph .none")).to_have_text("No preview in this browser")


def test_refusals_are_told_in_the_language_of_the_reader(browser: Browser, shop: Running, produce: Path) -> None:
    with opened(browser, shop.address, refusals=(422,), language="ru-RU") as screen:
        screen.show("label/Banana")
        expect(screen.page.locator("#label-title")).to_have_text("Banana")
        shop.service.gallery.rename("Banana", "Plantain")
        screen.press("Переименовать")
        screen.page.get_by_role("dialog").locator("input").fill("Fig")
        screen.press("Переименовать", screen.page.get_by_role("dialog"))
        expect(screen.page.locator("#alerts .toast")).to_have_text("Метки Banana больше нет.")
