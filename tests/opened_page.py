"""The page of a service in a real browser, driven as a person would; what it should never do fails every test."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

from browser import BROWSER
from lookalike import Gallery, Model
from services import Running, running

PHONE = (360, 740)
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
expect.set_options(timeout=15_000)


@contextmanager
def one_browser() -> Iterator[Browser]:
    """A browser for a whole module."""
    assert BROWSER, "install chromium: this must not be skipped where CI is set"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page that is open.

    Attributes:
        page: Playwright's.
        address: Of the service.
        problems: What was written to the console, raised, or asked of other hosts.
    """

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def show(self, part: str) -> None:
        """Opens a part of the page by its address, such as `gallery` or `label/Kiwi`, or anew where it is shown."""
        self.page.goto(f"{self.address}#/{part}")
        expect(self.page.locator("body")).to_have_attribute("data-state", "ready")
        expect(self.page.locator(f"#view-{part.partition('/')[0]}")).to_be_visible()

    def ask(self, *files: Path) -> Locator:
        """Chooses photographs; the first card, when all are answered."""
        self.page.locator("#choose").set_input_files(files)
        expect(self.page.locator("#answers .waiting")).to_have_count(0)
        return self.page.locator(".answer").first

    def press(self, name: str, inside: Locator | None = None) -> None:
        """Presses a button by its whole name."""
        (inside or self.page).get_by_role("button", name=name, exact=True).click()

    def told(self, words: str) -> None:
        """Waits until a toast says something."""
        expect(self.page.locator("#toasts")).to_contain_text(words)

    def width_beyond(self) -> int:
        """Pixels that the page is wider than the screen."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@contextmanager
def opened(
    browser: Browser,
    address: str,
    *,
    dark: bool = False,
    phone: bool = False,
    language: str = "en-GB",
    refusals: tuple[int, ...] = (),
    without_policy: bool = False,
) -> Iterator[Opened]:
    """The page; at the end nothing may have gone wrong in it.

    Args:
        browser: See `one_browser`.
        address: Of the service.
        dark: Whether the reader prefers dark pages.
        phone: A small screen that is touched.
        language: Of the browser.
        refusals: Statuses that the service is meant to answer with: browsers write them to the console.
        without_policy: For scripts of a test that are put into the page.
    """
    width, height = PHONE if phone else (1200, 850)
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale=language,
        has_touch=phone,
        is_mobile=phone,
        bypass_csp=without_policy,
    )
    page = context.new_page()
    made = Opened(page, address)

    def heard(message: ConsoleMessage) -> None:
        refused = _REFUSED.match(message.text)
        if not (refused and int(refused[1]) in refusals):
            made.problems.append(f"console: {message.type}: {message.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: made.problems.append(f"raised: {error}"))
    page.on("request", lambda request: _is_own(made, request.url))
    page.on("dialog", lambda dialog: made.problems.append(f"a script ran: {dialog.message}"))
    try:
        page.goto(address)
        expect(page.locator("body")).not_to_have_attribute("data-state", "loading")
        yield made
        assert not made.problems
    finally:
        context.close()


def _is_own(made: Opened, url: str) -> None:
    if not url.startswith((made.address, f"blob:{made.address}", "data:")):
        made.problems.append(f"asked elsewhere: {url}")


def shop_of(produce: Path, model: Model, place: Path, labels: tuple[str, ...] = ("Kiwi", "Leek", "Banana")) -> Path:
    """A closed gallery with four photographs of each label."""
    with Gallery.create(place, model) as gallery:
        for label in labels:
            gallery.add(sorted((produce / "train" / label).iterdir())[:4], label)
    return place


@contextmanager
def served(shop: Path, place: Path, model: Model, *arguments: str) -> Iterator[Running]:
    """A copy of a closed gallery, served."""
    shutil.copytree(shop, place)
    with running(Gallery.open(place, model), *arguments) as service:
        yield service


def photographs(produce: Path, label: str, first: int, last: int) -> list[Path]:
    """Some of a label that are not in the shop: those from the fifth."""
    assert first >= 4
    return sorted((produce / "train" / label).iterdir())[first:last]
