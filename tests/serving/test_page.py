"""The page in a real browser."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect, sync_playwright

from fake_encoder import FakeEncoder
from fake_scorer import FOUND, FakeScorer
from pdfs import Page as Sheet
from pdfs import build_pdf, lines
from polyspan import Reader
from polyspan.backends import NativeSettings
from polyspan.features import Batch
from polyspan.serving import Collection, FeedbackStore, ServeOptions, create_app
from polyspan.types import FloatArray
from serving_fakes import WORDS, listening

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 20_000
SCRIPT = "<script>document.title = 'broken in'</script>"
TOKEN = "secret"  # noqa: S105 -- of a server that only this test knows


class Cities(FakeScorer):
    """Asked "find city", it answers with Rome and Oslo."""

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        start, _ = super().score(batch)
        city, rome, oslo = (self.tokenizer.encode(word).ids[0] for word in ("city", "rome", "oslo"))
        asked = (batch.input_ids[:, :4] == city).any(axis=1)
        start[asked[:, None] & (batch.input_ids == rome)] = FOUND
        start[asked[:, None] & (batch.input_ids == oslo)] = FOUND + 0.7  # as its passage ranks second
        return start, start.copy()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"the page is tested in a browser, and none of {', '.join(BROWSERS)} is installed"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has no sandbox for root
        opened = playwright.chromium.launch(executable_path=found, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "index"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    reader = Reader(Cities(f"{WORDS} city"), NativeSettings(no_answer=True))
    collection = Collection(reader, folder, FakeEncoder())
    collection.add("anna.txt", b"Anna lives in Rome .")
    collection.add("bert.txt", b"Bert lives in Oslo .")
    app = create_app(collection, FeedbackStore(folder), ServeOptions(token=TOKEN))
    with listening(app) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the page, as a new visitor does, and fails where a script of it does."""
    contexts, errors = [], []

    def go(fragment: str = "", **options: Any) -> Page:
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
        page.goto(f"{address}/#token={TOKEN}{fragment}")
        expect(page.locator("#list li").first).to_be_visible(timeout=SECONDS)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not errors


def ask(page: Page, question: str) -> Locator:
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answers > *").first).to_be_visible(timeout=SECONDS)
    return page.locator("article.answer")


def test_page_answers_and_shows_the_quote_in_its_document(visit: Callable[..., Page]) -> None:
    page = visit()
    answers = ask(page, "find rome")
    expect(answers.locator("mark")).to_have_text("Rome")
    expect(page.get_by_role("status").first).to_have_text("One answer.")
    answers.get_by_role("button", name="uploads/anna.txt").click()
    dialog = page.get_by_role("dialog", name="uploads/anna.txt")
    expect(dialog.locator("mark")).to_be_focused()
    expect(dialog.locator("#text")).to_have_text("Anna lives in Rome .")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_page_says_no_answer_plainly(visit: Callable[..., Page]) -> None:
    page = visit()
    answers = ask(page, "find paris")
    expect(page.get_by_text("There is no answer in these documents")).to_be_visible()
    expect(answers.first).to_be_hidden()
    page.get_by_text("Show what comes nearest").click()
    expect(answers.first).to_be_visible()


def test_page_uploads_and_shows_markup_as_text(visit: Callable[..., Page]) -> None:
    page = visit()
    files: list[FilePayload] = [
        {"name": "script.txt", "mimeType": "text/plain", "buffer": f"{SCRIPT} Anna lives in Paris .".encode()},
        {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"no pdf"},
    ]
    page.get_by_label("Add files").set_input_files(files)
    expect(page.locator("#status")).to_contain_text("1 added. ")
    expect(page.locator("#status")).to_contain_text("the content is not what the suffix .pdf says")
    answers = ask(page, "find paris")
    expect(answers.locator("blockquote")).to_contain_text(SCRIPT)
    answers.get_by_role("button", name="uploads/script.txt").click()
    expect(page.locator("#text")).to_contain_text(SCRIPT)
    page.get_by_role("button", name="Close the document").click()
    page.get_by_role("button", name="Remove uploads/script.txt").click()
    expect(page.locator("#list")).not_to_contain_text("script.txt")
    assert page.title() == "polyspan"


def test_page_shows_quotes_of_pdfs_in_the_picture(visit: Callable[..., Page]) -> None:
    page = visit()
    pdf = build_pdf([Sheet(lines(["Nothing"])), Sheet(lines(["Anna lives in Paris ."]))])
    page.get_by_label("Add files").set_input_files({"name": "two.pdf", "mimeType": "", "buffer": pdf})
    expect(page.locator("#list")).to_contain_text("uploads/two.pdf")
    ask(page, "find paris").get_by_role("button", name="uploads/two.pdf, page 2").click()
    picture = page.get_by_role("img", name="Page 2 of uploads/two.pdf, with the quote marked")
    expect(picture).to_be_visible()
    box, sheet = page.locator(".box").bounding_box(), picture.bounding_box()
    assert box is not None
    assert sheet is not None
    assert 0.01 < box["width"] / sheet["width"] < 0.1
    assert 0.05 < (box["y"] - sheet["y"]) / sheet["height"] < 0.15
    expect(page.get_by_role("button", name="Next page")).to_be_disabled()
    page.get_by_role("button", name="Previous page").click()
    expect(page.get_by_role("img", name="Page 1 of uploads/two.pdf")).to_be_visible()
    expect(page.locator(".box")).to_have_count(0)
    page.get_by_role("button", name="Text").click()
    expect(page.locator("#text mark")).to_have_text("Paris")
    page.get_by_role("button", name="Close the document").click()
    page.get_by_role("button", name="Remove uploads/two.pdf").click()
    expect(page.locator("#list")).not_to_contain_text("two.pdf")


def test_page_tells_why(visit: Callable[..., Page]) -> None:
    page = visit()
    answers = ask(page, "find rome")
    why = answers.get_by_role("button", name="Why this span?")
    why.click()
    expect(answers.locator(".heat")).to_have_text("Anna lives in Rome .")
    hot = answers.locator(".heat span")
    expect(hot).to_have_text("Rome")
    assert float(hot.evaluate("one => one.style.getPropertyValue('--start')")) > 0.99
    row = answers.get_by_role("table", name="Most probable").get_by_role("row").nth(1)
    expect(row).to_have_text(re.compile("Rome100 %Rome100 %"))
    why.click()
    expect(answers.locator(".heat")).to_be_hidden()


def test_page_sets_answers_that_differ_side_by_side(visit: Callable[..., Page]) -> None:
    page = visit(viewport={"width": 1000, "height": 800})
    ask(page, "find city")
    beside = page.get_by_role("region", name="Answers that differ").get_by_role("article")
    expect(beside).to_have_count(2)
    assert sorted(beside.locator("mark").all_text_contents()) == ["Oslo", "Rome"]
    left, right = (one.bounding_box() for one in beside.all())
    assert left is not None
    assert right is not None
    assert left["y"] == right["y"]
    assert left["x"] + left["width"] <= right["x"]


def test_page_keeps_feedback(visit: Callable[..., Page], folder: Path) -> None:
    page = visit()
    answers = ask(page, "find rome")
    answers.get_by_role("button", name="Right", exact=True).click()
    expect(page.locator("#status")).to_have_text("Your feedback is kept.")
    answers = ask(page, "find oslo")
    answers.get_by_role("button", name="Correct it").click()
    page.get_by_role("button", name="This is the answer").click()
    expect(page.locator("#viewer-status")).to_have_text("Select the right answer in the text first.")
    page.locator("#text").evaluate("one => getSelection().setBaseAndExtent(one.firstChild, 0, one.firstChild, 4)")
    page.get_by_role("button", name="This is the answer").click()
    expect(page.locator("#status")).to_have_text("Your feedback is kept.")
    answers = ask(page, "find anna")
    answers.get_by_role("button", name="No answer here").click()
    expect(answers).to_contain_text("Thank you.")
    right, corrected, unanswerable = FeedbackStore(folder).all()
    assert (unanswerable.question, unanswerable.verdict) == ("find anna", "unanswerable")
    assert unanswerable.context == "Anna lives in Rome ."
    assert (right.question, right.verdict, right.context[right.start : right.end]) == ("find rome", "right", "Rome")
    assert (corrected.question, corrected.verdict) == ("find oslo", "corrected")
    assert corrected.context[corrected.start : corrected.end] == "Bert"


def test_page_goes_where_a_link_points(visit: Callable[..., Page]) -> None:
    page = visit()
    ask(page, "find rome").get_by_role("button", name="uploads/anna.txt").click()
    expect(page.locator("#text mark")).to_be_focused()
    fragment = page.url.partition("#")[2]
    assert fragment == "q=find+rome&document=uploads%2Fanna.txt&start=14&end=18"
    elsewhere = visit(f"&{fragment}")
    expect(elsewhere.get_by_role("dialog", name="uploads/anna.txt").locator("mark")).to_have_text("Rome")
    elsewhere.keyboard.press("Escape")
    expect(elsewhere.locator("article.answer mark")).to_have_text("Rome")
    expect(elsewhere).to_have_url(re.compile(r"#q=find\+rome$"))  # set by the dialog's close event, a moment later
    gone = visit("&document=uploads%2Fnothing.txt&start=0&end=4")
    expect(gone.locator("#status")).to_contain_text("there is no document 'uploads/nothing.txt'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_legible_and_fits(visit: Callable[..., Page], scheme: str) -> None:
    page = visit(color_scheme=scheme, viewport={"width": 390, "height": 800})
    ask(page, "find rome")
    ink, ground = (page.locator("body").evaluate(f"one => getComputedStyle(one).{name}") for name in INK_AND_GROUND)
    darker, lighter = sorted((_luminance(ink), _luminance(ground)))
    assert (lighter + 0.05) / (darker + 0.05) > 7  # WCAG 2.2, level AAA
    assert (_luminance(ground) < 0.1) is (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


INK_AND_GROUND = ("color", "backgroundColor")


def _luminance(color: str) -> float:
    """Relative luminance of rgb(r, g, b), as WCAG defines it."""
    shares = np.array([int(part) for part in re.findall(r"\d+", color)[:3]]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
