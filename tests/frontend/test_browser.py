"""The real page in a real browser over the real Flow: what a visitor does, step by step."""

import io
import signal
import struct

import av
import pytest
from playwright.sync_api import expect

from benchmarks.synthetic.videos import make
from clipseek.config.settings import Settings
from clipseek.machine.ports import free_port
from clipseek.service.page import Page
from frontend.uploads.queue_folder import QueueFolder, Task
from tests.flow.conftest import cache, launch, server  # noqa: F401 (fixtures)
from tests.frontend.browser import WAIT_MS, browser, by_key, needs_browser, playing, press, search_for, settled
from tests.frontend.browser import video_state as video_state_of

pytestmark = [needs_browser, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(server, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("page")
    with Page(Settings(folder, folder, page_port=free_port("127.0.0.1")), server.host) as page:
        page.start()
        yield page.address


@pytest.fixture(scope="module")
def samples(server):  # noqa: F811
    """The sample library, in the server. Returns: the id of each video, by title."""
    with server.client() as client:
        return {sample.video.title: sample.video.video_id for sample in client.add_samples()}


@pytest.fixture
def visit(chromium, address):
    """Open the page as a new visitor."""
    contexts = []

    def open_page(path="/", base=address):
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.goto(base + path)
        settled(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_from_an_empty_library_to_a_playing_moment(visit):
    page = visit()
    press(page, "first-samples")
    page.get_by_text("7 videos").wait_for()
    by_key(page, "job-").first.wait_for(state="detached")
    page.get_by_role("link", name="Search").click()
    settled(page)
    search_for(page, "a glowing crystal")
    press(page, "card-play")
    state = playing(page)
    assert state["length"] == pytest.approx(4.0, abs=0.05)  # the crystal is seen in [4, 8) of the video
    assert 0 < state["at"] < 4 and not state["loop"]
    page.wait_for_function("document.querySelector('video').ended")
    assert video_state_of(page)["at"] == pytest.approx(4.0, abs=0.05)


def test_edges_are_moved_and_what_is_downloaded_is_that_clip(visit, samples, tmp_path):
    page = visit("/?q=a+shiny+crystal")
    press(page, "card-adjust")
    by_key(page, "editor-step-0").nth(3).wait_for()
    settled(page)
    press(page, "editor-step-0-0-5")
    page.get_by_text("00:04.5").first.wait_for()
    settled(page)
    with page.expect_download() as download:
        press(page, "editor-download")
    assert download.value.suggested_filename == "toys 4.5-8.0.mp4"
    download.value.save_as(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.duration / av.time_base == pytest.approx(3.5, abs=0.05)
        assert clip.streams.video[0].codec_context.name == "h264"


def test_a_fast_clip_is_saved_under_the_name_of_its_format(visit, samples, server, tmp_path):  # noqa: F811
    video = make(tmp_path / "slates.webm", frames=100, codec="vp8").path  # VP8 does not fit MP4
    with server.client() as client:
        video_id = client.index(video).video.video_id
        page = visit(f"/?q=a+shiny+crystal&all=1&video={video_id[:12]}")
        press(page, "card-adjust")
        by_key(page, "editor-fast").locator("label").click()
        page.locator('[class*="st-key-editor-fast"] input:checked').wait_for(state="attached")
        settled(page)
        with page.expect_download() as download:
            press(page, "editor-download")
        client.delete(video_id)
    assert download.value.suggested_filename.endswith(".mkv")
    download.value.save_as(tmp_path / "clip.mkv")
    with av.open(str(tmp_path / "clip.mkv")) as clip:
        assert "matroska" in clip.format.name and clip.streams.video[0].codec_context.name == "vp8"


def test_the_nearest_candidates_are_grey_and_all_of_them_one_click_away_where_nothing_matches(visit, samples):
    page = visit()
    search_for(page, "a submarine under the ice")
    page.get_by_role("heading", name="No moment clearly matches. Nearest:").wait_for()
    assert by_key(page, "card-play").count() == by_key(page, "card-weak").count() == 3
    grey = page.locator('[class*="st-key-card-weak-"] img').first
    assert "grayscale" in grey.evaluate("image => getComputedStyle(image).filter")
    press(page, "results-show_weaker")
    by_key(page, "card-play").nth(3).wait_for()
    settled(page)
    scores = [float(text.removeprefix("< ")) for text in page.locator(".cs-score").all_inner_texts()]
    assert scores and max(scores) < 0.5


def test_one_clip_plays_at_a_time_and_escape_closes_the_edges(visit, samples):
    page = visit("/?q=a+submarine+under+the+ice&all=1")
    cards = by_key(page, "card-play").count()
    for _ in range(2):
        press(page, "card-play")  # the first card that does not play yet
        playing(page)
        settled(page)
        page.wait_for_function("document.querySelectorAll('video').length === 1")
        expect(by_key(page, "card-play")).to_have_count(cards - 1)
    press(page, "card-adjust")
    page.wait_for_function("document.querySelectorAll('video').length === 2")
    page.wait_for_function("[...document.querySelectorAll('video')].filter(video => !video.paused).length === 1")
    with page.expect_download():
        press(page, "editor-download")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def test_of_clips_that_start_together_one_plays_and_one_that_still_loads_starts_later(visit, samples):
    page = visit("/?q=a+submarine+under+the+ice&all=1")
    press(page, "card-play")
    playing(page)
    settled(page)
    page.evaluate(
        """() => { const first = document.querySelector("video"); first.loop = true;
          const [second, loading] = [0, 1].map(() => document.body.appendChild(first.cloneNode()));
          loading.removeAttribute("src"); loading.id = "loading"; loading.autoplay = true;
          window.source = first.src; second.muted = true; second.loop = true;
          window.started = new Promise((done) => { second.addEventListener("playing", () => {
            first.pause(); second.pause(); first.play().catch(() => {}); second.play().catch(() => {});
            setTimeout(done, 0); }, { once: true }) });
          second.play(); }"""
    )
    page.evaluate("window.started")
    one = "[...document.querySelectorAll('video')].filter(video => !video.paused).length === 1"
    page.wait_for_function(one)
    page.evaluate("document.getElementById('loading').src = window.source")
    page.wait_for_function("!document.getElementById('loading').paused")
    page.wait_for_function(one)


def stops(page):
    """Press Tab through the whole page. Returns: (name, whether the focus is visible, key) of every control."""
    page.evaluate("document.activeElement.blur()")
    page.evaluate(
        """() => { window.stops = []; document.addEventListener("focusin", ({ target }) => {
          const drawn = [target, target.parentElement, target.closest("label")].filter(Boolean).map(getComputedStyle);
          const seen = drawn.some((style) => style.boxShadow !== "none" || style.outlineStyle !== "none");
          const field = target.matches("input:not([type=checkbox])"); // its border changes its colour
          const hidden = target.querySelectorAll?.("[aria-hidden=true]") ?? [];
          let text = target.textContent;
          for (const part of hidden) text = text.replace(part.textContent, "");
          const named = target.ariaLabel || text.trim() || target.labels?.[0]?.textContent || target.tagName;
          const key = target.closest("[class*=st-key-]")?.className.match(/st-key-([\\w-]+)/)[1] ?? "";
          window.stops.push([named, seen || field || target.matches("[role=main], video"), key]);
        }) }"""
    )
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    return page.evaluate("window.stops")


def focused(page):
    return page.evaluate(
        "document.activeElement.closest('[class*=st-key-]')?.className.match(/st-key-([\\w-]+)/)[1] ?? ''"
    )


def test_every_control_is_reached_by_tab_has_a_name_and_shows_the_focus(visit, samples):
    for path, wanted in (
        ("/?q=a+shiny+crystal", ["language", "search-text", "search-filter_box", "card-play", "card-adjust"]),
        ("/library", ["language", "add-files", "library-find", "library-sort", "video-search", "video-delete"]),
        ("/timeline?q=a+shiny+crystal", ["timeline-video", "timeline-text", "timeline-play_from", "card-play"]),
    ):
        found = stops(visit(path))
        assert [stop for stop in found if not stop[0] or not stop[1]] == []
        keys = [key for _, _, key in found]
        places = [next(place for place, key in enumerate(keys) if key.startswith(name)) for name in wanted]
        assert places == sorted(places), keys


def test_the_keys_find_play_adjust_and_collect_a_moment(visit, samples):
    page = visit()
    by_key(page, "search-text").locator("input").focus()
    page.keyboard.type("a glowing crystal")
    page.keyboard.press("Enter")
    by_key(page, "card-play").first.locator("button").focus()
    page.keyboard.press("Enter")
    playing(page)
    assert page.evaluate("document.activeElement.tagName") == "VIDEO"  # space and arrows are the player's
    by_key(page, "card-adjust").first.locator("button:visible").first.focus()
    page.keyboard.press("Enter")
    step = by_key(page, "editor-step-0-0-5").locator("button:visible").first
    step.wait_for()
    assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    step.focus()  # its tip opens, which would use up an Escape
    page.get_by_role("tooltip").first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.wait_for_function("document.activeElement.closest('[class*=st-key-card-adjust]') !== null")
    basket = by_key(page, "card-basket").first.locator("button:visible").first
    basket.focus()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Basket (1)").wait_for()
    settled(page)
    assert focused(page).startswith("card-basket")
    filters = by_key(page, "search-filter_box").locator("button").first
    filters.focus()
    page.keyboard.press("Enter")
    page.get_by_test_id("stPopoverBody").wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.closest('[class*=st-key-search-filter_box]') !== null")


def test_a_click_in_the_timeline_plays_from_there_and_so_does_a_written_time(visit, samples):
    page = visit(f"/timeline?video={samples['toys.mp4'][:12]}&q=a+shiny+crystal")
    chart = page.locator("[data-testid=stVegaLiteChart]")
    chart.locator("canvas, svg").first.wait_for()
    settled(page)
    box = chart.bounding_box()
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.3 * box["height"])
    playing(page)
    settled(page)
    written = by_key(page, "timeline-play_from").locator("input")
    minutes, seconds = map(float, written.input_value().split(":"))
    assert 0.4 * 20 < 60 * minutes + seconds < 0.8 * 20  # the video of toys has 20 s
    written.fill("0:02.5")
    written.press("Enter")
    page.get_by_text("00:02.5 - 00:10.5").wait_for()
    assert playing(page)["length"] == pytest.approx(8.0, abs=0.05)


def test_back_shows_the_search_before_and_a_reload_keeps_the_basket(visit, samples):
    page = visit()
    search_for(page, "a red flower")
    press(page, "card-basket")
    page.get_by_role("link", name="Basket (1)").wait_for()
    search_for(page, "a glowing crystal")
    page.go_back()
    page.wait_for_function("document.querySelector('[class*=st-key-search-text] input')?.value === 'a red flower'")
    settled(page)
    page.get_by_role("button", name="Remove from basket").wait_for()  # Back reloads, and the clip is still there
    assert page.get_by_role("link", name="Basket (1)").count() == 1
    assert visit("/basket").get_by_text("Your basket is empty").count() == 1  # another visitor's


def test_a_link_with_language_and_filters_shows_the_same_to_somebody_else(visit, samples):
    mine = visit("/?q=a+red+flower&longest=30")
    mine.get_by_text("中文").click()
    mine.wait_for_function("location.search.includes('lang=zh')")
    settled(mine)
    found = by_key(mine, "card-play").count()
    assert found
    theirs = visit("/" + mine.evaluate("location.search"))
    assert by_key(theirs, "search-text").locator("input").input_value() == "a red flower"
    assert theirs.get_by_text("筛选").first.inner_text() == "筛选 (1)"
    assert by_key(theirs, "card-play").count() == found
    search_for(theirs, "a glowing crystal")  # two visitors at once, each with their own search
    assert by_key(mine, "search-text").locator("input").input_value() == "a red flower"


def test_an_upload_survives_a_reload_is_cancelled_continued_and_deleted(visit, tmp_path):
    video = make(tmp_path / "<b>x<b>; rm -rf 猫 :smile:.mp4", frames=25 * 150, gop=250).path
    page = visit("/library")
    page.locator("input[type=file]").first.set_input_files(video)
    indexing = by_key(page, "jobs").get_by_text("Indexing ·")
    indexing.wait_for()
    page.reload()
    settled(page)
    indexing.wait_for()
    press(page, "job-cancel")
    page.get_by_text("Cancelled.").wait_for()
    page.reload()  # no job is active now, so the panel redraws itself only after the job continues
    settled(page)
    press(page, "job-retry")
    by_key(page, "job-").first.wait_for(state="detached")
    settled(page)
    title = page.get_by_title(video.name, exact=True)
    assert title.inner_text() == video.name
    before = by_key(page, "video-rename").count()
    press(page, "video-delete")
    press(page, "video-delete-confirm")
    title.wait_for(state="detached")
    settled(page)
    assert by_key(page, "video-rename").count() == before - 1


NAMES = ("<b>x</b>.mp4", "a; rm -rf.mp4", "北京" * 150 + ".mp4", "x" * 296 + ".mp4")


def test_any_name_is_text_from_the_upload_to_the_file_that_is_saved(visit, samples, server, tmp_path):  # noqa: F811
    videos = []
    for place, name in enumerate(NAMES):
        with server.client() as client:  # the crystal, each time another video
            video = client.clip("toys.mp4", 4.0 + 0.1 * place, 7.0, tmp_path / "video.mp4").path
        videos.append({"name": name, "mimeType": "video/mp4", "buffer": video.read_bytes()})
    page = visit("/library")
    page.locator("input[type=file]").first.set_input_files(videos)
    for name in NAMES:
        title = page.locator(f'[class*="st-key-video-"] .cs-title[title="{name}"]')
        title.wait_for()
        assert title.inner_text() == name
    by_key(page, "job-").first.wait_for(state="detached")
    for name in NAMES:
        find = by_key(page, "library-find").locator("input")
        find.fill(name)
        find.press("Enter")
        page.get_by_text("1 video", exact=True).wait_for()
        settled(page)
        press(page, "video-rename")
        box = by_key(page, "video-title").locator("input")
        box.fill(f"new {name}")
        box.press("Enter")
        press(page, "video-rename-save")
        page.get_by_role("dialog").wait_for(state="detached")
        page.get_by_title(f"new {name}", exact=True).first.wait_for()
        settled(page)
        press(page, "video-search")
        settled(page)
        search_for(page, "a glowing crystal")
        card = by_key(page, "card-play").first
        card.wait_for()
        assert page.locator(".cs-title").all_inner_texts() == [f"new {name}"]
        with page.expect_download() as download:
            press(page, "card-download")
        saved = download.value.suggested_filename
        assert saved.startswith("new ") and saved.endswith(".mp4")
        assert len(saved.encode()) < 240 and not set(saved) & set('<>/"')
        page.get_by_role("link", name="Library").click()
        page.get_by_title(f"new {name}", exact=True).first.wait_for()
        settled(page)
        find.fill(f"new {name}")
        find.press("Enter")
        page.get_by_text("1 video", exact=True).wait_for()
        settled(page)
        press(page, "video-delete")
        press(page, "video-delete-confirm")
        page.get_by_title(f"new {name}", exact=True).first.wait_for(state="detached")
        settled(page)


def test_300_megabytes_are_uploaded(visit, tmp_path):
    video = make(tmp_path / "large.mp4", frames=50).path
    with video.open("ab") as file:  # a box that players skip
        file.write(struct.pack(">I4s", 300_000_000, b"free"))
        file.truncate(video.stat().st_size + 300_000_000)
    page = visit("/library")
    page.locator("input[type=file]").first.set_input_files(video)
    page.get_by_title("large.mp4", exact=True).last.wait_for()
    by_key(page, "job-").first.wait_for(state="detached")
    page.get_by_text("300 MB").first.wait_for()


QUEUED_VIDEOS = {"half.mp4": 25, "waiting.mp4": 24}


@pytest.mark.timeout(600)  # five minutes of video are indexed, beside other tests
def test_videos_continue_without_the_page_and_when_it_starts_again(visit, server, tmp_path):  # noqa: F811
    videos = [make(tmp_path / name, frames=25 * 150, fps=fps, gop=250).path for name, fps in QUEUED_VIDEOS.items()]
    queue = tmp_path / "page" / "queue"
    settings = Settings(tmp_path, tmp_path, page_port=free_port("127.0.0.1"))
    with Page(settings, server.host) as first:
        first.start()
        page = visit("/library", base=first.address)
        page.locator("input[type=file]").first.set_input_files(videos)
        by_key(page, "jobs").get_by_text("Indexing ·").first.wait_for()
    (queue / "abandoned.part").write_bytes(b"half an upload")
    with server.client() as client:  # the page is gone: the service goes on
        client.index(videos[0], title="half.mp4")
    with Page(settings, server.host) as second:
        second.start()
        page = visit("/library", base=second.address)
        settled(page)
        by_key(page, "job-").first.wait_for(state="detached", timeout=240_000)
        assert list(queue.iterdir()) == []
    with server.client() as client:
        for name in QUEUED_VIDEOS:
            assert client.video(name).status == "ready"
            client.delete(name)


def test_a_missing_server_is_explained(visit, tmp_path):
    nowhere = f"grpc://127.0.0.1:{free_port('127.0.0.1')}"
    folder = QueueFolder(tmp_path / "page" / "queue")  # as an earlier process left it
    folder.store_upload(1, io.BytesIO(b"a video"))
    folder.save_task(1, Task("waits.mp4", 6, is_upload=True))
    with Page(Settings(tmp_path, tmp_path, page_port=free_port("127.0.0.1")), nowhere) as lonely:
        lonely.start()
        page = visit(base=lonely.address)
        page.get_by_text("The ClipSeek server cannot be reached.").wait_for()
        page.get_by_text("Details", exact=True).click()
        page.get_by_text(nowhere).wait_for()
        page = visit("/library", base=lonely.address)
        by_key(page, "jobs").get_by_text("Waiting for the server").wait_for()
    assert [number for number, _ in folder.tasks()] == [1]


def test_service_and_page_start_and_stop_together(launch, tmp_path, visit):  # noqa: F811
    port = free_port("127.0.0.1")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    both = launch(tmp_path / "store", "--page", CLIPSEEK_PAGE_PORT=str(port), TMPDIR=str(temporary))
    both.wait_for(f"The page: http://127.0.0.1:{port}")
    visit(base=f"http://127.0.0.1:{port}").get_by_text("Your library is empty").wait_for()
    assert any("frontend" in child.cmdline() for child in both.children().values())
    assert both.stop(signal.SIGINT) == 0
    assert "Traceback" not in both.output
    assert not list(temporary.glob("clipseek-*"))
