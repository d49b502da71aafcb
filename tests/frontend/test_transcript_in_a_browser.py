"""The transcript in a real browser: it is searched, plays from a line, marks what is heard, and takes a correction."""

import pytest
from playwright.sync_api import expect

from tests.frontend.browser import WAIT_MS, browser, by_key, needs_browser, playing, settled
from tests.frontend.fake import CAT
from tests.frontend.test_foreign_requests import served

pytestmark = [needs_browser, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    home = str(tmp_path_factory.mktemp("home"))
    arguments = ("--address", "127.0.0.1", "--port", "{port}")
    with served("tests.frontend.fake_page", *arguments, CLIPSEEK_HOME=home) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(address):
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(f"{address}/timeline?video={CAT[:12]}&q=a")
        settled(page)
        page.locator(".cs-line").first.wait_for()
        yield page


def play_at(page, seconds):
    page.evaluate("at => { const v = document.querySelector('video'); v.pause(); v.currentTime = at }", seconds)


def test_a_transcript_is_used(page):
    lines = page.locator(".cs-line")
    expect(lines).to_have_count(28)
    expect(lines.nth(3)).to_contain_text("line 3 of <b>words</b> 望远镜Written")

    lines.nth(5).locator(".cs-line-play").click()
    playing(page)
    expect(by_key(page, "timeline-play_from").locator("input")).to_have_value("00:10.0")  # the line begins at 10.04
    now = page.locator(".cs-line-now")
    play_at(page, 1.0)
    expect(now).to_contain_text("line 5 of")
    expect(now).to_have_attribute("aria-current", "true")
    play_at(page, 2.3)
    expect(now).to_contain_text("line 6 of")

    find = page.get_by_role("searchbox", name="Find in the transcript")
    find.fill("WORDS 12")
    expect(page.locator(".cs-line:visible")).to_have_count(1)
    page.locator(".cs-line:visible").get_by_role("button", name="Correct this line").click()
    box = page.get_by_role("textbox", name="Text of the line. Leave it empty to remove the line")
    box.fill("never")
    box.press("Escape")
    expect(lines.nth(12)).to_contain_text("line 12 of")
    page.locator(".cs-line:visible").get_by_role("button", name="Correct this line").click()
    box.fill("right <script>words</script> 12")
    box.press("Enter")
    expect(lines.nth(12)).to_contain_text("right <script>words</script> 12corrected")
    expect(find).to_have_value("WORDS 12")

    find.fill("nothing of this kind")
    expect(page.get_by_text("No line contains this.")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as SRT").click()
    assert download.value.suggested_filename == "cat.srt"
