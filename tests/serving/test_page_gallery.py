"""The page of a service: its gallery is looked after, unknown photographs are named, health is watched."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from browser import needs_browser
from lookalike import Model
from opened_page import Opened, one_browser, opened, photographs, served, shop_of
from services import Running

pytestmark = needs_browser


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


def answer(screen: Opened, label: str, action: str) -> None:
    """Writes a label into the dialog that asks for one."""
    dialog = screen.page.get_by_role("dialog")
    dialog.get_by_label("Label").fill(label)
    screen.press(action, dialog)


def test_labels_are_found_and_opened(screen: Opened) -> None:
    screen.show("gallery")
    names = screen.page.locator("#label-list b")
    expect(names).to_have_text(["Banana", "Kiwi", "Leek"])
    screen.page.get_by_label("Find a label").fill("IW")
    expect(names).to_have_text(["Kiwi"])
    expect(screen.page.locator("#gallery-shown")).to_have_text("1 label found")
    screen.page.get_by_role("link", name="Kiwi").click()
    expect(screen.page.get_by_role("heading", name="Kiwi")).to_be_focused()
    for image in screen.page.locator("#image-list img").all():
        expect(image).to_have_js_property("naturalWidth", 160)
    screen.page.go_back()
    expect(names).to_have_text(["Kiwi"])


def test_many_images_come_page_by_page(screen: Opened, shop: Running, produce: Path) -> None:
    files = [file for label in ("Lime", "Lemon", "Garlic") for file in photographs(produce, label, 4, 22)]
    shop.service.gallery.add(files, "Everything")
    screen.show("label/Everything")
    expect(screen.page.locator("#image-list li")).to_have_count(48)
    screen.press("Show more")
    expect(screen.page.locator("#image-list li")).to_have_count(len(files))
    expect(screen.page.get_by_role("button", name="Show more")).to_have_count(0)


def test_more_images_of_a_label_that_is_left_are_not_shown(screen: Opened, shop: Running, produce: Path) -> None:
    files = [file for label in ("Lime", "Lemon", "Garlic") for file in photographs(produce, label, 4, 22)]
    shop.service.gallery.add(files, "Everything")
    page = screen.page
    screen.show("label/Everything")
    held: list[Route] = []
    page.route(re.compile(r"first=48"), lambda route: held.append(route))
    page.locator("#more-images").evaluate("button => { button.click(); button.click(); }")
    expect(page.locator("#more-images")).to_be_disabled()
    page.evaluate("location.hash = '#/label/Kiwi'")
    expect(page.locator("#label-title")).to_have_text("Kiwi")
    assert len(held) == 1
    with page.expect_response(re.compile(r"first=48")):
        held[0].continue_()
    expect(page.locator("#more-images")).to_be_enabled()
    expect(page.locator("#image-list li")).to_have_count(4)


def test_what_is_done_to_a_label_waits_until_it_is_shown(screen: Opened, shop: Running) -> None:
    page = screen.page
    held: list[Route] = []
    page.route(re.compile(r"label=Kiwi"), lambda route: held.append(route))
    with page.expect_request(re.compile(r"label=Kiwi")):
        screen.show("label/Kiwi")
    expect(page.locator("#label-actions")).to_have_js_property("inert", True)
    with page.expect_response(re.compile(r"label=Kiwi")):
        held[0].continue_()
    expect(page.locator("#label-title")).to_have_text("Kiwi")
    expect(page.locator("#label-actions")).to_have_js_property("inert", False)


def test_the_log_comes_page_by_page(screen: Opened, shop: Running) -> None:
    for number in range(60):
        shop.service.gallery.rename("Kiwi" if number == 0 else f"{number - 1}", f"{number}")
    screen.show("log")
    rows = screen.page.locator("#log-list > li")
    expect(rows).to_have_count(50)
    with screen.page.expect_request(re.compile(r"before=14$")):
        screen.press("Show more")
    expect(rows).to_have_count(63)
    expect(screen.page.locator("#more-log")).to_be_hidden()
    screen.press("Undo", rows.first)
    expect(rows.first).to_contain_text("Taken back")


def test_labels_are_forgotten_in_one_change(screen: Opened, shop: Running) -> None:
    screen.show("gallery")
    before = shop.service.gallery.version
    for label in ("Kiwi", "Leek"):
        screen.page.get_by_label(f"Choose {label}").check()
    screen.press("Forget for good", screen.page.locator("#label-bar"))
    screen.press("Delete for good", screen.page.get_by_role("dialog"))
    expect(screen.page.locator("#label-list b")).to_have_text(["Banana"])
    assert shop.service.gallery.version == before + 1


def test_many_unknown_photographs_are_sent_in_parts(screen: Opened) -> None:
    names = [f"{number}.jpg" for number in range(1100)]
    sent: list[list[str]] = []

    def discarded(route: Route) -> None:
        sent.append(json.loads(route.request.post_data or "")["names"])
        route.fulfill(json={"change": None, "images": len(sent[-1])})

    group = {"suggestion": "a", "nearest": None, "similarity": None, "names": names}
    screen.page.route(
        "**/v1/unknown/groups", lambda route: route.fulfill(json={"total": 1100, "groups": [group], "alone": []})
    )
    screen.page.route("**/thumbnail", lambda route: route.fulfill(body=b"", content_type="image/jpeg"))
    screen.page.route("**/v1/unknown/discard", discarded)
    screen.show("unknown")
    screen.press("Discard")
    screen.press("Discard", screen.page.get_by_role("dialog"))
    screen.told("100 photographs discarded")
    assert [len(part) for part in sent] == [500, 500, 100]
    assert [name for part in sent for name in part] == names


def test_a_label_is_renamed(screen: Opened, shop: Running) -> None:
    screen.show("label/Kiwi")
    screen.press("Rename")
    answer(screen, "Kiwi, 50% / green", "Rename")
    expect(screen.page.get_by_role("heading", level=1)).to_have_text("Kiwi, 50% / green")
    assert shop.service.gallery.labels == {"Banana": 4, "Kiwi, 50% / green": 4, "Leek": 4}
    screen.press("Rename")
    answer(screen, "Leek", "Rename")
    expect(screen.page.get_by_role("dialog")).to_contain_text("Leek is there already")
    screen.press("Merge", screen.page.get_by_role("dialog"))
    expect(screen.page.get_by_role("heading", level=1)).to_have_text("Leek")
    assert shop.service.gallery.labels == {"Banana": 4, "Leek": 8}


def test_a_label_that_is_there_but_for_case_or_blanks_is_offered(screen: Opened, shop: Running, produce: Path) -> None:
    dialog = screen.page.get_by_role("dialog")
    card = screen.ask(*photographs(produce, "Banana", 6, 7))
    screen.press("It is …", card)
    card.get_by_label("What is it really?").fill("ki WI")
    screen.press("Enrol", card)
    expect(dialog.get_by_role("button", name="There is Kiwi: use it")).to_be_focused()
    screen.press("Cancel", dialog)
    expect(dialog).to_be_hidden()
    assert shop.service.gallery.labels == {"Banana": 4, "Kiwi": 4, "Leek": 4}
    screen.press("Enrol", card)
    screen.press("There is Kiwi: use it", dialog)
    screen.told("1 image enrolled as Kiwi")
    screen.show("label/Kiwi")
    choose(screen, 0)
    screen.press("Move")
    answer(screen, "leek", "Move")
    screen.press("Make a new label", dialog)
    screen.told("1 image moved to leek")
    screen.press("Rename")
    answer(screen, "KIWI", "Rename")  # its own
    expect(screen.page.get_by_role("heading", level=1)).to_have_text("KIWI")
    assert shop.service.gallery.labels == {"Banana": 4, "KIWI": 4, "Leek": 4, "leek": 1}


def test_labels_are_merged_and_removed_with_a_way_back(screen: Opened, shop: Running) -> None:
    screen.show("gallery")
    for label in ("Kiwi", "Leek"):
        screen.page.get_by_label(f"Choose {label}").check()
    expect(screen.page.locator("#label-bar")).to_contain_text("2 chosen")
    screen.press("Merge")
    answer(screen, "Green", "Merge")
    screen.told("8 images joined Green")
    expect(screen.page.locator("#label-list b")).to_have_text(["Banana", "Green"])
    screen.press("Undo")
    expect(screen.page.locator("#label-list b")).to_have_text(["Banana", "Kiwi", "Leek"])
    for label in ("Kiwi", "Leek"):
        screen.page.get_by_label(f"Choose {label}").check()
    screen.press("Remove")
    screen.told("8 images removed")
    assert shop.service.gallery.labels == {"Banana": 4}
    screen.press("Undo")
    screen.told("Taken back: 8 images")
    assert shop.service.gallery.labels == {"Banana": 4, "Kiwi": 4, "Leek": 4}


def test_images_are_moved_removed_and_forgotten(screen: Opened, shop: Running) -> None:
    page = screen.page
    screen.show("label/Kiwi")
    choose(screen, 0, 1)
    screen.press("Move")
    answer(screen, "Leek", "Move")
    screen.told("2 images moved to Leek")
    expect(page.locator("#image-list li")).to_have_count(2)
    expect(page.locator("#image-bar")).to_be_hidden()
    choose(screen, 0)
    screen.press("Remove")
    screen.told("1 image removed")
    expect(page.locator("#image-list li")).to_have_count(1)
    screen.press("Undo")
    expect(page.locator("#image-list li")).to_have_count(2)
    choose(screen, 0)
    screen.press("Forget for good", page.locator("#image-bar"))
    expect(page.get_by_role("dialog")).to_contain_text("There is no way back")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    assert shop.service.gallery.labels["Kiwi"] == 2
    screen.press("Forget for good", page.locator("#image-bar"))
    screen.press("Delete for good")
    screen.told("1 image deleted for good")
    expect(page.locator("#toasts").get_by_role("button", name="Undo")).to_have_count(0)
    assert shop.service.gallery.labels == {"Banana": 4, "Kiwi": 1, "Leek": 6}
    screen.press("Remove all")
    expect(page.locator("#view-gallery")).to_be_visible()


def choose(screen: Opened, *places: int) -> None:
    for place in places:
        screen.page.locator("#image-list input").nth(place).check()


def test_pictures_are_added_to_a_label(screen: Opened, shop: Running, produce: Path) -> None:
    screen.show("label/Kiwi")
    screen.page.locator("#add-images").set_input_files(photographs(produce, "Kiwi", 4, 6))
    screen.told("2 images enrolled as Kiwi")
    expect(screen.page.locator("#image-list li")).to_have_count(6)


def test_any_change_of_the_log_is_taken_back(browser: Browser, shop: Running) -> None:
    gallery = shop.service.gallery
    gallery.rename("Kiwi", "Green", note="<b>why</b>")
    gallery.merge(["Green"], "Leek")
    with opened(browser, shop.address, refusals=(409,)) as screen:
        screen.show("log")
        rows = screen.page.locator("#log-list > li")
        expect(rows.get_by_role("heading")).to_have_text(["Merged", "Renamed", *["Enrolled"] * 3])
        expect(rows.nth(1)).to_contain_text("4 images from Kiwi to Green")
        expect(rows.nth(1).locator(".note")).to_have_text("<b>why</b>")
        screen.press("Undo", rows.nth(1))
        expect(screen.page.locator("#alerts")).to_contain_text("cannot be taken back before change 5 is")
        screen.press("Undo", rows.nth(0))
        expect(rows).to_have_count(6)
    assert gallery.labels == {"Banana": 4, "Green": 4, "Leek": 4}


def test_unknown_photographs_are_kept_named_and_discarded(screen: Opened, shop: Running, produce: Path) -> None:
    page = screen.page
    page.get_by_label("Keep unknown photographs").check()
    screen.ask(*photographs(produce, "Watermelon", 5, 9), *photographs(produce, "Ginger", 5, 6))
    expect(page.locator(".verdict")).to_have_text(["Unknown"] * 5)
    expect(page.locator("#unknown-count")).to_have_text("5")
    page.locator(".answer").first.get_by_role("link", name="Kept among the unknown").click()
    group = page.locator(".group").first
    expect(page.locator("#unknown-text")).to_have_text("5 kept photographs that nobody has named yet.")
    chosen = group.locator("input:checked")
    count = chosen.count()
    assert count >= 2
    chosen.first.uncheck()
    group.get_by_label("What is it?").fill("Watermelon")
    screen.press("Enrol", group)
    screen.told(f"{count - 1} image")
    expect(page.locator("#unknown-text")).to_contain_text(f"{6 - count} kept")
    expect(page.locator("#unknown-count")).to_have_text(str(6 - count))
    assert shop.service.gallery.labels["Watermelon"] == count - 1
    last = page.locator(".group").last
    for box in last.locator("input[type=checkbox]").all():
        box.check()
    screen.press("Discard", last)
    screen.press("Discard", page.get_by_role("dialog"))
    screen.told("discarded")
    expect(page.locator("#unknown-text")).to_contain_text(re.compile("None is kept|nobody has named"))


def test_health_shows_what_is_wrong_and_moves_it(
    closed_shop: Path, browser: Browser, tmp_path: Path, model: Model
) -> None:
    place = tmp_path / "shop"
    shutil.copytree(closed_shop, place)
    (place / "days.json").write_text('{"2026-05-04": [40, 10], "2026-05-05": [20, 1]}')
    with served(place, tmp_path / "served", model) as service, opened(browser, service.address) as screen:
        gallery = service.service.gallery
        number = gallery.images("Banana")[0].number
        gallery.move(number, "Leek")
        gallery.move([image.number for image in gallery.images("Kiwi")[1:]], "Leek")
        screen.show("health")
        page = screen.page
        expect(page.locator("#view-health")).to_contain_text("Few images: 1 label")
        doubt = page.locator(".doubts li").filter(has=page.get_by_role("button", name="Move to Banana"))
        expect(doubt).to_contain_text("Enrolled as Leek")
        page.get_by_text("As a table").click()
        expect(page.locator("tbody tr")).to_have_text(["May 5" + "2015%", "May 4" + "401025%"])
        heights = page.locator(".bars i").evaluate_all("bars => bars.map((bar) => bar.style.height)")
        assert heights == ["25%", "5%"]
        screen.press("Move to Banana", doubt)
        screen.told("1 image moved to Banana")
        expect(doubt).to_have_count(0)
        assert number in [image.number for image in gallery.images("Banana")]


def test_health_takes_the_word_of_a_person(closed_shop: Path, browser: Browser, tmp_path: Path, model: Model) -> None:
    with served(closed_shop, tmp_path / "served", model) as service:
        gallery = service.service.gallery
        number = gallery.images("Banana")[0].number
        gallery.move(number, "Leek")
        with opened(browser, service.address) as screen:
            screen.show("health")
            doubts = screen.page.locator(".doubts li")
            doubt = doubts.filter(has=screen.page.get_by_role("button", name="Move to Banana"))
            expect(doubt).to_have_count(1)
            before = doubts.count()
            screen.press("Label is right", doubt)
            screen.told("1 label called right")
            expect(doubts).to_have_count(before - 1)
            screen.press("Undo")
            expect(doubts).to_have_count(before)
            screen.press("Label is right", doubt)
            expect(doubts).to_have_count(before - 1)
            screen.show("log")
            expect(screen.page.locator("#log-list li.card").first).to_contain_text("Called right")
            expect(screen.page.locator("#log-list li.card").first).to_contain_text("the label of 1 image")
    with served(tmp_path / "served", tmp_path / "again", model) as service, opened(browser, service.address) as screen:
        screen.show("health")
        expect(screen.page.locator("#view-health")).to_contain_text("Kept unknown photographs0 of at most 10,000 kept")
        expect(screen.page.locator(".doubts li").filter(has_text="Move to Banana")).to_have_count(0)
