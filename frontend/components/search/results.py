"""The answer to a search: the matches as cards, and buttons for more of them or for weaker candidates."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

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

Kind = Literal["secondary", "tertiary"]


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
        with st.container(key="nothing", horizontal_alignment="center"):
            empty_state(t("results.none" if answer.videos_searched else "results.no_videos"), t("results.none.hint"))
    if answer.more:
        _button("more", t("results.more"), "expand_more", ask.with_more())
    elif answer.withheld and not ask.all_matches:
        label = t.plural("results.show_weaker", answer.withheld)
        kind: Kind = "tertiary" if answer.matches else "secondary"
        _button("show_weaker", label, "visibility", replace(ask, all_matches=True), kind)


def find(ask: Ask, picture: QueryImage | None) -> Query:
    """Search for what is asked. Raises: as `Client.search`."""
    image = picture.content if picture else None
    return services().client.search(ask.text.strip(), top_k=ask.shown, **ask.options(image))


def _head(ask: Ask, answer: Query, seconds: float, t: Texts) -> None:
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


def _button(name: str, label: str, icon: str, ask: Ask, kind: Kind = "secondary") -> None:
    """A button that goes on with another search."""
    key = f"results.{name}"
    with st.container(horizontal_alignment="center", key=name):
        st.button(label, icon=f":material/{icon}:", key=key, type=kind, on_click=start_search, args=(ask,))
