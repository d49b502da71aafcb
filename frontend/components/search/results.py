"""The answer to a search: the matches as cards, weaker candidates below a line, and buttons for more of either."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import streamlit as st

from clipseek.api.documents import Match, Query, Video
from clipseek.api.errors import ClipSeekError
from clipseek.api.limits import MAX_TOP_K
from clipseek.exports.moments import query_text
from frontend.components.elements import card_grid, divider, empty_state, muted
from frontend.components.messages import show_error
from frontend.components.search.result_card import LOOP, match_name, match_thumbnail, result_card
from frontend.components.search.search_form import start_search
from frontend.logic.safe_text import escape_markdown
from frontend.logic.search_address import Ask
from frontend.media.page_folder import QueryImage
from frontend.services import services
from frontend.texts import Texts

Kind = Literal["secondary", "tertiary"]
WEAKER = 3  # candidates shown below the matches where these do not fill the page: a row of cards


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
    services().thumbnails.prefetch(match_thumbnail(match) for match in (*answer.matches, *answer.weaker_matches))
    for warning in answer.warnings:
        st.caption(f":material/info: {escape_markdown(warning)}")
    if answer.matches or answer.weaker_matches:
        _head(answer, seconds, t)
        answer_cards(answer, videos, t)
    else:
        with st.container(key="nothing", horizontal_alignment="center"):
            empty_state(t("results.none" if answer.videos_searched else "results.no_videos"), t("results.none.hint"))
    if answer.more and ask.shown >= MAX_TOP_K:
        muted(t("results.most", count=MAX_TOP_K))
    elif answer.more:
        _button("more", t("results.more"), "expand_more", ask.with_more())
    elif answer.withheld > len(answer.weaker_matches) and not ask.all_matches:
        label = t.plural("results.show_weaker", answer.withheld)
        kind: Kind = "tertiary" if answer.matches or answer.weaker_matches else "secondary"
        _button("show_weaker", label, "visibility", replace(ask, all_matches=True, least_score=0.0), kind)


def find(ask: Ask, picture: QueryImage | None) -> Query:
    """Search for what is asked. Raises: as `Client.search`."""
    image = picture.content if picture else None
    return services().client.search(ask.text.strip(), top_k=ask.shown, **ask.options(image, WEAKER))


def _head(answer: Query, seconds: float, t: Texts) -> None:
    weaker = sum(match.is_weak for match in answer.matches) + len(answer.weaker_matches)
    facts = [
        t.plural("results.matches", len(answer.matches) + len(answer.weaker_matches) - weaker),
        *([t("results.weaker", count=weaker)] if weaker else []),
        t.plural("results.searched", answer.videos_searched),
        f"{seconds:.2f}&nbsp;s",
    ]
    with st.container(horizontal=True, vertical_alignment="center", key="results-head"):
        muted(" · ".join(facts))
        st.toggle(t("card.loop"), key=LOOP)


def answer_cards(answer: Query, videos: Sequence[Video], t: Texts) -> None:
    """The matches as cards, best first, and below a line what does not count as a match."""
    matches = [match for match in answer.matches if not match.is_weak]
    weaker = [match for match in answer.matches if match.is_weak] + list(answer.weaker_matches)
    query = query_text(answer.text, answer.parts)
    _cards(matches, videos, query, t)
    if weaker:
        divider(t("results.weaker_below" if matches else "results.nearest"))
        _cards(weaker, videos, query, t)


def _cards(matches: Sequence[Match], videos: Sequence[Video], query: str, t: Texts) -> None:
    by_id = {video.video_id: video for video in videos}
    unique = {match_name(match): match for match in matches}
    card_grid(
        list(unique.values()),
        lambda match: result_card(match, by_id.get(match.video_id, Video(video_id=match.video_id)), t, query),
    )


def _button(name: str, label: str, icon: str, ask: Ask, kind: Kind = "secondary") -> None:
    """A button that goes on with another search."""
    key = f"results.{name}"
    with st.container(horizontal_alignment="center", key=name):
        st.button(label, icon=f":material/{icon}:", key=key, type=kind, on_click=start_search, args=(ask,))
