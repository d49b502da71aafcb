"""Every page, drawn by Streamlit without a browser, over a client that answers from memory."""

import io
from types import SimpleNamespace

import pytest

from clipseek.api.documents import Job, Model
from clipseek.api.errors import ModelMismatch, ServerUnreachable, StoreFull
from frontend.logic.basket import Basket, BasketItem
from frontend.logic.safe_text import escape_markdown
from frontend.services import services
from frontend.texts import load_texts
from frontend.uploads.quirks import TICKET_BYTES
from tests.frontend.conftest import html_of
from tests.frontend.fake import BROKEN, CAT, DOG, LOW, VIDEO, match, video

EN, ZH = load_texts("en"), load_texts("zh")
CAT_CLIP = BasketItem(CAT, "cat.mp4", 12.0, 17.5)
CAT_CARD, DOG_CARD = "aaaaaaaaaaaa-12.00-17.50", "bbbbbbbbbbbb-3.00-5.00"


def ask(page, text):
    page.text_input(key="search.text").set_value(text).run()
    assert not page.exception
    return page


def button(page, key):
    [found] = [each for each in page.button if each.key == key]
    return found


def basket_of(page):
    return services().baskets.read(page.session_state["visitor.number"])


def keys(page):
    return {each.key for each in page.button}


def test_a_search_shows_cards_and_goes_into_the_address(open_page, client):
    page = ask(open_page(), "a cat")
    assert client.asked[-1] | {"text": "a cat", "top_k": 9, "videos": (), "all_matches": False} == client.asked[-1]
    shown = html_of(page)
    assert "00:12.0 - 00:17.5" in shown and 'style="width:80%"' in shown
    assert "&lt;b&gt;dog&lt;/b&gt;.mp4" in shown and "<b>dog" not in shown
    assert page.query_params["q"] == ["a cat"]
    assert client.clips == [] and client.indexed == []


def test_a_card_plays_its_own_moment(open_page, client):
    page = ask(open_page(), "a cat")
    button(page, f"card.play.{CAT_CARD}").click().run()
    assert client.clips == [(CAT, 12.0, 17.5, "exact")]
    assert [each.proto.autoplay for each in page.get("video")] == [True]
    assert f"card.play.{DOG_CARD}" in keys(page)
    button(page, f"card.play.{DOG_CARD}").click().run()
    assert len(page.get("video")) == 1 and f"card.play.{CAT_CARD}" in keys(page)  # the first has closed


def test_a_link_repeats_the_search_with_its_filters(open_page, client):
    page = open_page(q="a dog", video="bbbbbbbbbbbb", least="0.25", longest="9", without="snow", also="grass")
    assert (
        client.asked[-1]
        | {
            "text": "a dog",
            "videos": (DOG,),
            "least_score": 0.25,
            "maximum_seconds": 9.0,
            "without": ("snow",),
            "also": ("grass",),
        }
        == client.asked[-1]
    )
    assert page.text_input(key="search.text").value == "a dog"
    assert page.multiselect(key="search.videos").value == [DOG]
    button(page, "search.remove_without.0").click().run()
    assert client.asked[-1]["without"] == () and "without" not in page.query_params


def test_a_filter_by_a_deleted_video_is_dropped(open_page, client):
    page = open_page(q="a dog", video="bbbbbbbbbbbb")
    client.library.pop()
    ask(page, "a cat")
    assert client.asked[-1]["videos"] == () and "video" not in page.query_params


def test_typing_goes_before_an_older_address(open_page, client):
    page = open_page(q="a dog")
    page.query_params["q"] = "a horse"  # as the browser's Back button does
    ask(page, "a cat")
    assert client.asked[-1]["text"] == "a cat" and page.query_params["q"] == ["a cat"]


def test_filters_change_the_search_and_the_address(open_page, client):
    page = ask(open_page(), "a cat")
    assert page.slider(key="search.min_score").value == 0.5  # the cut-off
    page.slider(key="search.min_score").set_value(0.6).run()
    page.text_area(key="search.without").set_value("snow\n\n rain ").run()
    assert client.asked[-1]["least_score"] == 0.6 and client.asked[-1]["without"] == ("snow", "rain")
    assert page.query_params["least"] == ["0.6"] and page.query_params["without"] == ["snow", "rain"]


def weak(count):
    return [match(start=20.0 + 5 * place, end=24.0 + 5 * place, score=0.4 - 0.05 * place) for place in range(count)]


def cards(page):
    """The starts of the cards, in order."""
    return [key.split("-")[1] for key in (each.key for each in page.button) if key.startswith("card.play.")]


def test_the_nearest_candidates_are_shown_where_nothing_matches_and_all_a_click_away(open_page, client):
    client.found, client.withheld = [], weak(5)
    page = ask(open_page(), "a submarine")
    shown = html_of(page)
    assert f'<h3 class="cs-line">{EN("results.nearest")}</h3>' in shown and EN("results.none") not in shown
    assert f"{EN('results.matches', count=0)} · {EN('results.weaker', count=3)}" in shown
    assert cards(page) == ["20.00", "25.00", "30.00"] and shown.count("cs-score cs-weak") == 3
    assert button(page, "results.show_weaker").label == EN("results.show_weaker", count=5)
    button(page, "results.show_weaker").click().run()
    assert client.asked[-1]["all_matches"] and len(cards(page)) == 5
    assert page.query_params["all"] == ["1"]
    assert page.slider(key="search.min_score").value == 0.0  # as the slider would show all, too
    assert f"{EN('results.matches', count=0)} · {EN('results.weaker', count=5)}" in html_of(page)
    ask(page, "a dog")
    assert not client.asked[-1]["all_matches"] and page.slider(key="search.min_score").value == 0.5


def test_below_the_matches_a_line_divides_weaker_candidates_which_do_not_count(open_page, client):
    client.found, client.withheld = [match()], weak(2)
    page = ask(open_page(), "a cat")
    shown = html_of(page)
    assert f'<h3 class="cs-line">{EN("results.weaker_below")}</h3>' in shown
    assert f"{EN('results.matches.one')} · {EN('results.weaker', count=2)}" in shown
    assert cards(page) == ["12.00", "20.00", "25.00"] and shown.count("cs-score cs-weak") == 2
    assert "results.show_weaker" not in keys(page)  # all are there
    client.found, client.withheld = [match(), *weak(2)], []
    page.slider(key="search.min_score").set_value(0.2).run()
    assert client.asked[-1]["least_score"] == 0.2
    assert f"{EN('results.matches.one')} · {EN('results.weaker', count=2)}" in html_of(page)


def test_where_nothing_reaches_a_higher_score_the_page_says_so(open_page, client):
    client.found, client.withheld = [], weak(2)
    page = open_page(q="a cat", least="0.9")
    assert EN("results.none") in html_of(page) and cards(page) == []
    button(page, "results.show_weaker").click().run()
    assert client.asked[-1]["all_matches"] and not client.asked[-1]["least_score"] and len(cards(page)) == 2


def test_more_results_and_more_like_one(open_page, client):
    client.found = [match(start=float(place), end=place + 0.5) for place in range(20)]
    page = ask(open_page(), "a cat")
    assert sum(key.startswith("card.play") for key in keys(page)) == 9
    button(page, "results.more").click().run()
    assert client.asked[-1]["top_k"] == 18 and page.query_params["shown"] == ["18"]
    button(page, "card.similar.aaaaaaaaaaaa-3.00-3.50").click().run()
    assert client.asked[-1]["like"] == (CAT, 3.25) and client.asked[-1]["text"] == ""
    assert page.query_params["like"] == ["aaaaaaaaaaaa@3.250"]


def test_the_last_page_of_matches_says_that_there_are_more(open_page, client):
    client.found = [match(start=float(place), end=place + 0.5) for place in range(12)]
    client.most = 9  # of matches in an answer
    page = open_page(q="a cat", shown="1000")
    assert EN("results.most", count=1000) in html_of(page) and "results.more" not in keys(page)


def test_the_timeline_says_how_many_matches_have_no_card(open_page, client):
    client.found = [match(start=float(place), end=place + 0.5) for place in range(31)]
    page = open_page("views/timeline.py", q="a cat", video=CAT[:12])
    assert EN("timeline.first_cards", shown=30, count=31) in html_of(page) and len(cards(page)) == 30


def test_the_edges_are_moved_and_the_clip_follows(draw, client):
    def script():
        from frontend.components.clip_editor import edges_form
        from frontend.logic.basket import BasketItem
        from frontend.texts import load_texts
        from tests.frontend.fake import CAT, video

        edges_form(BasketItem(CAT, "cat.mp4", 12.0, 17.5), video(CAT, "cat.mp4"), load_texts("en"))

    page = draw(script)
    assert page.slider(key="editor.range").value == (12.0, 17.5)
    button(page, "editor.step.0.-0.5").click().run()
    assert page.slider(key="editor.range").value == (11.5, 17.5)
    page.slider(key="editor.range").set_value((11.5, 14.0)).run()
    assert client.clips == [(CAT, 12.0, 17.5, "exact"), (CAT, 11.5, 17.5, "exact"), (CAT, 11.5, 14.0, "exact")]
    page.slider(key="editor.range").set_value((14.0, 14.0)).run()  # both handles at one point
    assert page.slider(key="editor.range").value == (14.0, 14.1)
    button(page, "editor.basket").click().run()
    assert [(item.start_seconds, item.end_seconds) for item in basket_of(page).items] == [(14.0, 14.1)]
    client.copied = ".mkv"
    page.toggle(key="editor.fast").set_value(True).run()
    assert client.clips[-1] == (CAT, 14.0, 14.1, "copy") and len(page.get("download_button")) == 1


def test_an_image_is_part_of_the_address_until_it_is_removed_or_no_longer_stored(open_page, client, tmp_path):
    page = open_page()
    page.file_uploader[0].upload("<b>.png", b"picture", "image/png").run()
    assert client.asked[-1]["image"] == b"picture"
    [key] = page.query_params["image"]
    theirs = open_page(image=key)
    assert client.asked[-1]["image"] == b"picture"
    assert button(theirs, "search.remove_image").label == EN("search.image_chip", name=r"\<b\>\.png")
    ask(theirs, "a cat")
    assert client.asked[-1]["image"] == b"picture" and client.asked[-1]["text"] == "a cat"
    button(theirs, "search.remove_image").click().run()
    assert client.asked[-1]["image"] is None and "image" not in theirs.query_params
    (tmp_path / "images" / f"{key}.image").unlink()
    for gone in (key, "../../etc/passwd"):
        [shown] = open_page(image=gone).warning
        assert shown.value == EN("results.image_gone")


def test_the_page_says_where_a_fast_cut_does_not_apply(open_page, client):
    page = ask(open_page(), "a cat")
    button(page, f"card.basket.{CAT_CARD}").click().run()
    button(page, f"card.basket.{DOG_CARD}").click().run()
    basket = open_page("views/basket.py")
    basket.button_group(key="export.format").set_value("mp4").run()
    basket.toggle(key="export.fast").set_value(True).run()
    assert not basket.caption
    client.library[1].width = 1920
    basket.run()
    assert [each.value for each in basket.caption] == [EN("export.not_fast")]


def test_the_basket_asks_where_the_videos_are_and_says_what_an_editor_cannot_keep(open_page, client):
    page = ask(open_page(), "a cat")
    button(page, f"card.basket.{CAT_CARD}").click().run()
    button(page, f"card.basket.{DOG_CARD}").click().run()
    assert [(item.query, item.score) for item in basket_of(page).items] == [("a cat", 0.8), ("a cat", 0.4)]
    basket = open_page("views/basket.py")
    assert not basket.text_input
    for kind in ("otio", "edl", "fcp7", "fcpxml"):
        basket.button_group(key="export.format").set_value(kind).run()
        assert [each.label for each in basket.text_input] == [EN("export.folder")] and not basket.caption
    client.library[1].fps = 29.9
    basket.run()
    shown = escape_markdown("<b>dog</b>.mp4")
    assert [each.value for each in basket.caption] == [
        EN("export.rates", titles=shown),
        EN("export.variable", titles=shown),
    ]
    basket.button_group(key="export.format").set_value("csv").run()
    assert not basket.text_input and not basket.caption and not basket.exception


def test_a_clip_of_the_basket_gets_other_edges_in_its_place(draw, client):
    def script():
        from frontend.components.clip_editor import edges_form
        from frontend.components.visitor import add_to_basket, visitor_basket
        from frontend.logic.basket import BasketItem
        from frontend.texts import load_texts
        from tests.frontend.fake import CAT, DOG, video

        item = BasketItem(CAT, "cat.mp4", 12.0, 17.5)
        if not len(visitor_basket()):
            add_to_basket(item)
            add_to_basket(BasketItem(DOG, "dog.mp4", 1.0, 2.0))
        edges_form(item, video(CAT, "cat.mp4"), load_texts("en"), in_basket=True)

    page = draw(script)
    button(page, "editor.step.1.0.5").click().run()
    button(page, "editor.basket").click().run()
    assert [(item.title, item.end_seconds) for item in basket_of(page).items] == [("cat.mp4", 18.0), ("dog.mp4", 2.0)]


def test_the_basket_is_filled_ordered_and_emptied(open_page, client):
    page = ask(open_page(), "a cat")
    button(page, f"card.basket.{CAT_CARD}").click().run()
    button(page, f"card.basket.{DOG_CARD}").click().run()
    assert button(page, f"card.basket.{DOG_CARD}").label == EN("basket.remove")
    assert EN("basket.empty") in html_of(open_page("views/basket.py", visitor="b" * 32))
    basket = open_page("views/basket.py")  # as after a reload
    assert html_of(basket).index("1. cat.mp4") < html_of(basket).index("2. &lt;b&gt;dog")
    button(basket, f"basket.down.{CAT_CLIP.key}").click().run()
    assert html_of(basket).index("1. &lt;b&gt;dog") < html_of(basket).index("2. cat.mp4")
    button(basket, f"basket.remove.{CAT_CLIP.key}").click().run()
    assert "cat.mp4" not in html_of(basket)


def test_two_tabs_act_on_the_clips_they_show(open_page, client):
    clips = [BasketItem(CAT, "cat.mp4", float(start), start + 2.0) for start in range(3)]
    services().baskets.write("a" * 32, Basket(tuple(clips)))
    mine, other = open_page("views/basket.py"), open_page("views/basket.py")
    button(other, f"basket.remove.{clips[0].key}").click().run()
    button(mine, f"basket.remove.{clips[1].key}").click().run()
    assert basket_of(mine).items == (clips[2],)
    button(other, f"basket.up.{clips[1].key}").click().run()  # the clip is gone, but this tab does not know
    assert basket_of(other).items == (clips[2],) and not other.exception


def test_a_clip_whose_video_was_deleted_is_marked_and_left_out(open_page, client):
    gone = BasketItem("e" * 64, "gone.mp4", 1.0, 2.0)
    services().baskets.write("a" * 32, Basket((gone, CAT_CLIP)))
    page = open_page("views/basket.py")
    assert [each.value for each in page.caption] == [EN("problem.video_gone"), EN("export.left_out.one")]
    assert [button(page, f"basket.{what}.{gone.key}").disabled for what in ("play", "adjust", "remove")] == [1, 1, 0]
    assert not button(page, f"basket.play.{CAT_CLIP.key}").disabled
    assert not page.get("download_button")[0].proto.disabled
    client.library = []
    page.run()
    assert page.caption[-1].value == EN("export.left_out", count=2) and page.get("download_button")[0].proto.disabled


def test_the_library_shows_what_is_there(open_page, client):
    half = {"status": "indexing", "missing_start_seconds": [30.0], "missing_end_seconds": [60.0]}
    client.library.append(video("c" * 64, "猫.mp4", **half))
    page = open_page("views/library.py")
    shown = html_of(page)
    assert "01:00.0 · 5.0 MB · 640 × 360" in shown and f"{EN('status.interrupted')} · 50 %" in shown
    button(page, "video.resume.cccccccccccc").click().run()
    assert services().queue.wait(10)
    page.run()
    assert EN("status.interrupted") not in html_of(page)
    page.text_input(key="library.find").set_value("DOG").run()
    assert "cat.mp4" not in html_of(page) and "&lt;b&gt;dog" in html_of(page)


def test_a_large_library_has_pages_and_a_search_goes_to_the_first(open_page, client):
    client.library = [video(f"{number:02d}" * 32, f"video {number:03d}.mp4") for number in range(50)]
    page = open_page("views/library.py")
    assert "1 - 24 / 50" in html_of(page) and "video 049.mp4" in html_of(page)
    button(page, "library.next").click().run()
    button(page, "library.next").click().run()
    assert "49 - 50 / 50" in html_of(page) and "video 000.mp4" in html_of(page) and "video 049" not in html_of(page)
    assert button(page, "library.next").disabled
    page.text_input(key="library.find").set_value("video 0").run()
    assert "1 - 24 / 50" in html_of(page) and button(page, "library.previous").disabled


def test_uploads_go_to_the_queue_and_failures_say_why(open_page, client):
    page = open_page("views/library.py")
    page.file_uploader[0].upload("a; rm -rf.mp4", VIDEO, "video/mp4").run()
    assert services().queue.wait(10)
    assert client.indexed == [("a; rm -rf.mp4", VIDEO)]
    page.file_uploader[0].upload("notes.mp4", BROKEN, "video/mp4").run()
    assert services().queue.wait(10)
    page.run()
    assert "a; rm -rf.mp4" in html_of(page)
    assert any(EN("problem.unreadable") in each.value for each in page.error)
    [job] = services().queue.jobs()
    button(page, f"job.dismiss.{job.key}").click().run()
    assert not services().queue.jobs() and not page.error


def service_job(**values):
    shared = {"job_id": "0123abcd", "video_id": "c" * 64, "title": "<i>c.mp4", "total_seconds": 60.0}
    return Job(**shared | values)


def test_jobs_of_the_service_are_shown_cancelled_continued_and_removed(open_page, client):
    half = {"status": "indexing", "missing_start_seconds": [30.0], "missing_end_seconds": [60.0]}
    client.library.append(video("c" * 64, "<i>c.mp4", **half))
    client.filed = [
        service_job(state="running", done_seconds=15.0),
        service_job(job_id="77", video_id="d" * 64, state="failed", error="No picture.", error_kind="NoVideoStream"),
    ]
    page = open_page("views/library.py")
    assert f"{EN('stage.index')} · 25 %" in html_of(page) and "&lt;i&gt;c.mp4" in html_of(page)
    assert EN("status.interrupted") not in html_of(page)  # the job works on it
    assert [each.value for each in page.text] == ["No picture."]
    other = open_page("views/library.py", visitor="b" * 32)
    assert EN("stage.index") in html_of(other)
    button(page, "job.cancel.0123abcd").click().run()
    assert client.filed[0].state == "cancelled" and EN("jobs.cancelled") in html_of(page)
    button(page, "job.retry.0123abcd").click().run()
    assert services().queue.wait(10)
    button(page, "job.dismiss.77").click().run()
    assert client.filed == [] and services().queue.jobs() == [] and client.library[-1].status == "ready"


def test_of_many_jobs_the_first_are_shown(open_page, client):
    client.filed = [service_job(job_id=f"{number}", video_id=f"{number}", state="waiting") for number in range(40)]
    page = open_page("views/library.py")
    assert html_of(page).count(EN("jobs.waiting")) == 30
    assert EN("jobs.more", count=10) in [each.value for each in page.caption]


def upload(page, *videos):
    page.file_uploader[0].set_value([(name, content, "video/mp4") for name, content in videos]).run()
    assert not page.exception
    return page


def test_uploads_dropped_together_are_queued_once_each(open_page, client, tmp_path):
    page = open_page("views/library.py")
    (tmp_path / "queue" / "2.upload").symlink_to("/dev/full")
    upload(page, ("one.mp4", VIDEO), ("<b>.mp4", b"large" * 10), ("two.mp4", VIDEO + b"2"))
    for _ in range(2):
        assert services().queue.wait(10)
        page.run()
    assert client.indexed == [("one.mp4", VIDEO), ("two.mp4", VIDEO + b"2")]
    assert EN("add.rejected", name=r"\<b\>\.mp4") in [each.value for each in page.caption]
    assert any("No space left" in each.value for each in page.text)
    button(page, "add.dismiss").click().run()
    assert not page.error and "add.dismiss" not in keys(page)


def test_a_ticket_whose_video_is_gone_is_refused(open_page, client):
    page = upload(open_page("views/library.py"), ("large.mp4", b"t" * TICKET_BYTES), ("one.mp4", VIDEO))
    assert services().queue.wait(10)
    assert client.indexed == [("one.mp4", VIDEO)]
    [shown] = page.error
    assert EN("problem.unreadable") in shown.value
    upload(page, ("two.mp4", VIDEO))
    assert not page.error  # the error belonged to the files before


def test_a_full_disk_of_the_page_is_explained(open_page, client, tmp_path):
    half = {"status": "indexing", "missing_start_seconds": [30.0], "missing_end_seconds": [60.0]}
    client.library.append(video("c" * 64, "half.mp4", **half))
    page = open_page("views/library.py")
    for number in (1, 2, 3):
        (tmp_path / "queue" / f"{number}.draft").symlink_to("/dev/full")
    for key in ("video.resume.cccccccccccc", "add.samples"):
        button(page, key).click().run()
        [shown] = page.error
        assert EN("problem.full") in shown.value and not page.exception
    client.library = []
    page.run()
    button(page, "first.samples").click().run()
    assert EN("problem.full") in page.error[0].value and not page.exception


def test_a_server_folder_and_the_samples(open_page, client):
    client.roots = "/videos"
    page = open_page("views/library.py")
    page.text_input(key="add.folder").set_value("/videos").run()
    button(page, "add.folder.index").click().run()
    button(page, "add.samples").click().run()
    assert services().queue.wait(10)
    assert client.indexed == [("video.mp4", "/videos/video.mp4")]
    assert [each.title for each in client.library[-2:]] == ["video.mp4", "sample.mp4"]


def test_rename(draw, client):
    def script():
        from frontend.components.library.video_card import rename_form
        from frontend.texts import load_texts
        from tests.frontend.fake import CAT, video

        rename_form(video(CAT, "cat.mp4"), load_texts("en"))

    page = draw(script)
    page.text_input(key="video.title").set_value("AC/DC").run()
    button(page, "video.rename.save").click().run()
    assert client.library[0].title == "AC/DC"


def test_delete_asks_first(open_page, draw, client):
    page = open_page("views/library.py")
    button(page, "video.delete.bbbbbbbbbbbb").click().run()
    [question] = [each.value for each in page.markdown if r"\<b\>dog\<\/b\>\.mp4" in each.value]
    assert "its file (5.0 MB) and its index (00:30.0, 30 frames)" in question
    assert len(client.library) == 2

    def script():
        from frontend.components.library.video_card import delete_question
        from frontend.texts import load_texts
        from tests.frontend.fake import DOG, video

        delete_question(video(DOG, "dog.mp4"), load_texts("en"))

    button(draw(script), "video.delete.cancel").click().run()
    assert len(client.library) == 2
    button(draw(script), "video.delete.confirm").click().run()
    assert [each.video_id for each in client.library] == [CAT]


def test_an_empty_library_teaches(open_page, client):
    client.library = []
    for page in (open_page(), open_page("views/library.py")):
        assert EN("first_steps.1") in html_of(page) and "first.samples" in keys(page)


def test_the_timeline_draws_the_curve_and_lists_the_matches(open_page, client):
    page = open_page("views/timeline.py", video="aaaaaaaaaaaa", q="a cat")
    assert client.asked[-1] == {"timeline": CAT, "text": "a cat"}
    assert len(page.get("vega_lite_chart")) == 1 and f"card.play.{CAT_CARD}" in keys(page)
    page.selectbox(key="timeline.video").set_value(DOG).run()
    assert client.asked[-1] == {"timeline": DOG, "text": "a cat"}
    assert page.query_params["video"] == ["bbbbbbbbbbbb"]


def test_the_timeline_plays_from_a_time_that_is_written(open_page, client):
    page = open_page("views/timeline.py", video="aaaaaaaaaaaa", q="a cat")
    box = f"timeline.play_from.{CAT}"
    page.text_input(key=box).set_value("0:42.5").run()
    assert client.clips == [(CAT, 42.5, 50.5, "exact")] and len(page.get("video")) == 1
    page.text_input(key=box).set_value("9:00").run()
    assert client.clips[-1] == (CAT, 59.9, 60.0, "exact")
    page.text_input(key=box).set_value("soon").run()
    assert EN("timeline.bad_time") in [each.value for each in page.caption] and not page.get("video")


@pytest.mark.parametrize("file", ["app.py", "views/library.py", "views/timeline.py"])
@pytest.mark.parametrize(
    ("error", "key"),
    [
        (ServerUnreachable("none at grpc://x"), "unreachable"),
        (ModelMismatch("a, not b"), "mismatch"),
        (StoreFull("no room"), "full"),
    ],
)
def test_an_error_says_what_failed_and_what_to_do(open_page, client, file, error, key):
    client.error = error
    page = open_page(file)
    [shown] = page.error
    assert EN(f"problem.{key}") in shown.value and EN(f"problem.{key}.fix") in shown.value
    assert [each.value for each in page.text] == [str(error)]
    client.error = None
    button(page, "error.retry").click().run()
    assert not page.error


def test_a_full_disk_and_the_starter_model_have_banners(open_page, client):
    client.free_bytes = LOW
    page = open_page()
    assert any("1.0 GB" in each.value for each in page.warning)
    assert EN("model.starter.limits") in [each.value for each in page.markdown]
    client.models_of_library[0].name, client.free_bytes = "multilingual", 10 * LOW
    services.clear()
    from frontend.services import health, library_models

    health.clear()
    library_models.clear()
    page = open_page()
    assert not page.warning and any("multilingual" in each.value for each in page.caption)


def test_a_full_disk_of_the_page_has_a_banner_in_the_library(open_page, client, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=LOW))
    [shown] = open_page("views/library.py").warning
    assert shown.value == EN("disk.page_low", free="1.0 GB")


def test_the_language_is_chosen_in_the_page_and_kept_in_the_address(open_page, client):
    page = open_page(q="a cat", lang="zh")
    assert page.text_input(key="search.text").placeholder == ZH("search.placeholder")
    assert page.query_params["lang"] == ["zh"]
    page.button_group(key="language.switch").set_value("en").run()
    assert page.text_input(key="search.text").placeholder == EN("search.placeholder")
    assert page.query_params["lang"] == ["en"] and page.query_params["q"] == ["a cat"]


def test_two_failures_of_one_kind_are_shown_side_by_side(open_page, client):
    page = open_page("views/library.py")
    for name in ("a.mp4", "b.mp4"):
        services().queue.add_upload(io.BytesIO(BROKEN), name)
    assert services().queue.wait(10)
    page.run()
    assert not page.exception and len(page.error) == 2


def test_another_model_is_chosen_and_its_progress_is_shown_until_it_answers(open_page, client):
    client.models_of_library += [
        Model(name="multilingual", state="available"),
        Model(name="/models/mine", model_id="mine@1:2", state="kept", covered_seconds=30.0, total_seconds=60.0),
    ]
    page = open_page()
    choice = page.selectbox(key="model.choice")
    assert choice.options == ["multilingual", EN("model.kept", model="/models/mine", percent=50)]
    choice.set_value("/models/mine").run()
    button(page, "model.use").click().run()
    assert [job.title for job in client.filed] == ["/models/mine"]
    assert not page.selectbox(key="model.choice").options[1:]
    button(page, "model.stop").click().run()
    assert client.filed[0].state == "cancelled"
