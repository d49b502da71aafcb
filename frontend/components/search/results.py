"""The answer to a search: the matches as cards, and buttons for more of them or for weaker candidates."""

import time
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from clipseek.api.documents import Match, Query, Video
from clipseek.api.errors import ClipSeekError
from frontend.components.elements import card_grid, empty_state, muted
from frontend.components.messages import show_error
from frontend.components.search.result_card import LOOP, MATCH_SCORE, match_name, match_thumbnail, result_card
from frontend.components.search.search_form import start_search
from frontend.logic.safe_text import escape_markdown
from frontend.logic.search_address import Ask
from frontend.media.page_folder import QueryImage
from frontend.services import services
from frontend.texts import Texts


def results(ask: Ask, videos: Sequence[Video], t: Texts) -> None:
    """Search, and draw the answer."""
    image = services().query_images.get(ask.image)
    if ask.image and not image:
        st.warning(t("results.image_gone"), icon=":material/hide_image:")
        return
    started = time.monotonic()
    try:
        answer = find(ask, image)
    except ClipSeekError as error:
        show_error(error, t)
        return
    seconds = time.monotonic() - started
    services().thumbnails.prefetch(match_thumbnail(match) for match in answer.matches)
    for warning in answer.warnings:
        st.caption(f":material/info: {escape_markdown(warning)}")
    if answer.matches:
        _head(ask, answer, seconds, t)
        _cards(answer.matches, videos, t)
    else:
        _no_match(answer, t)
    if answer.more:
        _more_button(ask, t)
    elif answer.withheld and not ask.all_matches:
        _weaker_button(ask, answer, t)


def find(ask: Ask, picture: QueryImage | None) -> Query:
    """Search for what is asked. Raises: as `Client.search`."""
    image = picture.content if picture else None
    return services().client.search(ask.text.strip(), top_k=ask.shown, **ask.options(image))


def _head(ask: Ask, answer: Query, seconds: float, t: Texts) -> None:
    """How many matches there are, how much was searched and how long it took."""
    weaker = sum(match.score < MATCH_SCORE for match in answer.matches) if ask.all_matches else 0
    count = len(answer.matches) - weaker
    facts = [
        t.plural("results.matches", count),
        *([t("results.weaker", count=weaker)] if weaker else []),
        t.plural("results.searched", answer.videos_searched),
        f"{seconds:.2f}&nbsp;s",
    ]
    with st.container(horizontal=True, vertical_alignment="center", key="results-head"):
        muted(" · ".join(facts))
        st.toggle(t("card.loop"), key=LOOP)
    if ask.all_matches:
        st.info(t("results.weaker_included" if count else "results.only_weaker"), icon=":material/info:")


def _cards(matches: Sequence[Match], videos: Sequence[Video], t: Texts) -> None:
    by_id = {video.video_id: video for video in videos}
    unique = {match_name(match): match for match in matches}
    card_grid(
        list(unique.values()),
        lambda match: result_card(match, by_id.get(match.video_id, Video(video_id=match.video_id)), t),
    )


def _no_match(answer: Query, t: Texts) -> None:
    with st.container(key="nothing", horizontal_alignment="center"):
        empty_state(t("results.none" if answer.videos_searched else "results.no_videos"), t("results.none.hint"))


def _more_button(ask: Ask, t: Texts) -> None:
    with st.container(horizontal_alignment="center", key="more"):
        st.button(
            t("results.more"),
            icon=":material/expand_more:",
            key="results.more",
            on_click=start_search,
            args=(ask.with_more(),),
        )


def _weaker_button(ask: Ask, answer: Query, t: Texts) -> None:
    """The button that shows the candidates whose score was too low."""
    with st.container(horizontal_alignment="center", key="weaker"):
        st.button(
            t.plural("results.show_weaker", answer.withheld),
            icon=":material/visibility:",
            key="results.show_weaker",
            type="tertiary" if answer.matches else "secondary",
            on_click=start_search,
            args=(replace(ask, all_matches=True),),
        )
