"""Timeline: where in one video a description fits, second by second."""

from collections.abc import Sequence

import streamlit as st

from clipseek.api.documents import Match, Video
from clipseek.api.errors import ClipSeekError
from frontend.components.frame import language
from frontend.components.frame.trouble import page_trouble
from frontend.components.player.video_timeline import OPEN, video_timeline
from frontend.components.search.result_card import result_card
from frontend.components.search.search_form import SIMILAR, asked_text
from frontend.logic.safe_text import shortened
from frontend.logic.search_address import whole_ids
from frontend.shared import services
from frontend.texts import Texts

_VIDEO, _TEXT, _KEPT = "timeline.video", "timeline.text", "timeline.kept"
_COLUMNS = 3
_MOST_CARDS = 30


def timeline_page(t: Texts) -> None:
    st.html(f'<div class="cs-head"><h2>{t("page.timeline")}</h2></div>')
    try:
        videos = {video.video_id: video for video in services().client.videos()}
    except ClipSeekError as error:
        page_trouble(error, t)
        return
    if not videos:
        st.info(t("timeline.empty"), icon=":material/video_library:")
        return
    video, text = _choice(videos, t)
    answer = video_timeline(video, text, t)
    if answer is None:
        return
    if not answer.matches:
        st.html(f'<div class="cs-empty"><h3>{t("results.nothing")}</h3></div>')
    _cards(list(answer.matches)[:_MOST_CARDS], video, t)


def _choice(videos: dict[str, Video], t: Texts) -> tuple[Video, str]:
    """The video and the description, from the boxes, which the address fills at first."""
    kept_video, kept_text = st.session_state.get(_KEPT, (next(reversed(videos)), asked_text()))
    if _VIDEO not in st.session_state:
        named = whole_ids(st.query_params.get_all("video"), videos)
        st.session_state[_VIDEO] = named[0] if named else kept_video
        st.session_state[_TEXT] = st.query_params.get("q", kept_text)
    opened = st.session_state.pop(OPEN, None)
    if opened in videos:
        st.session_state[_VIDEO], st.session_state[_TEXT] = opened, asked_text()
    if st.session_state[_VIDEO] not in videos:
        st.session_state[_VIDEO] = next(reversed(videos))
    left, right = st.columns([2, 3])
    with left:
        video_id = st.selectbox(
            t("timeline.video"),
            sorted(videos, key=lambda each: videos[each].title.casefold()),
            key=_VIDEO,
            format_func=lambda each: shortened(videos[each].title, 60),
        )
    with right:
        text = st.text_input(
            t("search.label"), key=_TEXT, placeholder=t("search.placeholder"), icon=":material/search:"
        )
    st.session_state[_KEPT] = (video_id, text)
    params = {"video": video_id[:12], "q": text.strip()} | language.params()
    st.query_params.from_dict({name: value for name, value in params.items() if value})
    return videos[video_id], text


def _cards(matches: Sequence[Match], video: Video, t: Texts) -> None:
    for first in range(0, len(matches), _COLUMNS):
        for column, match in zip(st.columns(_COLUMNS), matches[first : first + _COLUMNS], strict=False):
            with column:
                result_card(match, video, t, SIMILAR)


timeline_page(language.texts())
