"""Timeline: where in one video a description fits, second by second."""

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from frontend.components.elements import empty_state, heading, muted
from frontend.components.messages import show_page_error
from frontend.components.search.results import WEAKER, answer_cards
from frontend.components.search.search_form import search_text
from frontend.components.video_timeline import OPEN, video_timeline
from frontend.components.visitor import language_params, texts
from frontend.logic.safe_text import shorten
from frontend.logic.search_address import whole_ids
from frontend.services import services
from frontend.texts import Texts

_VIDEO, _TEXT = "timeline.video", "timeline.text"
_LAST = "timeline.last"  # (video id, description) shown last; stays when the visitor goes to another page
_MAX_CARDS = 30


def timeline_page(t: Texts) -> None:
    heading(t("page.timeline"))
    try:
        videos = {video.video_id: video for video in services().client.videos()}
    except ClipSeekError as error:
        show_page_error(error, t)
        return
    if not videos:
        st.info(t("timeline.empty"), icon=":material/video_library:")
        return
    _fill_boxes(videos)
    video, text = _boxes(videos, t)
    answer = video_timeline(video, text, t, weaker=WEAKER)
    if answer is None:
        return
    if not answer.matches and not answer.weaker_matches:
        empty_state(t("results.none"))
    if len(answer.matches) > _MAX_CARDS:
        muted(t("timeline.first_cards", shown=_MAX_CARDS, count=len(answer.matches)))
        answer.matches = answer.matches[:_MAX_CARDS]
    answer_cards(answer, [video], t)


def _fill_boxes(videos: dict[str, Video]) -> None:
    """Set the boxes: to the video to open, else to the address when the page is new, else as they were."""
    newest = next(reversed(videos))
    last_video, last_text = st.session_state.get(_LAST, (newest, search_text()))
    if _VIDEO not in st.session_state:
        from_address = whole_ids(st.query_params.get_all("video"), videos)
        st.session_state[_VIDEO] = from_address[0] if from_address else last_video
        st.session_state[_TEXT] = st.query_params.get("q", last_text)
    to_open = st.session_state.pop(OPEN, None)
    if to_open in videos:
        st.session_state[_VIDEO], st.session_state[_TEXT] = to_open, search_text()
    if st.session_state[_VIDEO] not in videos:
        st.session_state[_VIDEO] = newest


def _boxes(videos: dict[str, Video], t: Texts) -> tuple[Video, str]:
    """Draw the boxes and write them into the address. Returns: the video and the description."""
    left, right = st.columns([2, 3])
    with left:
        video_id = st.selectbox(
            t("timeline.video"),
            sorted(videos, key=lambda video_id: videos[video_id].title.casefold()),
            key=_VIDEO,
            format_func=lambda video_id: shorten(videos[video_id].title, 60),
        )
    with right:
        text = st.text_input(
            t("search.label"), key=_TEXT, placeholder=t("search.placeholder"), icon=":material/search:"
        )
    st.session_state[_LAST] = (video_id, text)
    params = {"video": video_id[:12], "q": text.strip()} | language_params()
    st.query_params.from_dict({name: value for name, value in params.items() if value})
    return videos[video_id], text


timeline_page(texts())
