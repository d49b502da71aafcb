"""The answer to a search: cards in rows, how to get more of them, and an honest word where there are none."""

import time
from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from clipseek.api.documents import Match, Query, Video
from clipseek.api.errors import ClipSeekError
from frontend.components.frame.trouble import trouble
from frontend.components.search.result_card import LOOP, MATCH_SCORE, name_of, result_card, still_of
from frontend.components.search.search_form import SIMILAR, look_for
from frontend.logic.safe_text import plain
from frontend.logic.search_address import Ask
from frontend.media.query_images import QueryImage
from frontend.shared import services
from frontend.texts import Texts

_COLUMNS = 3


def results(ask: Ask, videos: Sequence[Video], t: Texts) -> None:
    """Ask the server and draw what it answers."""
    picture = services().query_images.get(ask.image)
    if ask.image and not picture:
        st.warning(t("results.image_gone"), icon=":material/hide_image:")
        return
    begun = time.monotonic()
    try:
        answer = find(ask, picture)
    except ClipSeekError as error:
        trouble(error, t)
        return
    seconds = time.monotonic() - begun
    services().pictures.prefetch(still_of(match) for match in answer.matches)
    for warning in answer.warnings:
        st.caption(f":material/info: {plain(warning)}")
    if not answer.matches:
        _nothing(ask, answer, t)
        return
    _head(ask, answer, seconds, t)
    _cards(answer.matches, {video.video_id: video for video in videos}, t)
    if not answer.more:
        _misses(ask, answer, t)
    else:
        with st.container(horizontal_alignment="center", key="more"):
            st.button(
                t("results.more"),
                icon=":material/expand_more:",
                key="results.more",
                on_click=look_for,
                args=(ask.with_more(),),
            )


def find(ask: Ask, picture: QueryImage | None) -> Query:
    """Search for what is asked. Raises: as `Client.search`."""
    image = picture.content if picture else None
    return services().client.search(ask.text.strip(), top_k=ask.shown, **ask.options(image))


def _head(ask: Ask, answer: Query, seconds: float, t: Texts) -> None:
    missed = sum(match.score < MATCH_SCORE for match in answer.matches) if ask.all_matches else 0
    found = len(answer.matches) - missed
    count = t("results.found.one") if found == 1 else t("results.found", count=found)
    count += f" · {t('results.missed', count=missed)}" if missed else ""
    with st.container(horizontal=True, vertical_alignment="center", key="results-head"):
        st.html(
            f'<span class="cs-soft">{count} · {_looked(answer.videos_searched, t)} · {seconds:.2f}&nbsp;s</span>',
            width="stretch",
        )
        st.toggle(t("card.loop"), key=LOOP)
    if ask.all_matches:
        st.info(t("results.misses_shown" if found else "results.misses_only"), icon=":material/info:")


def _looked(videos: int, t: Texts) -> str:
    return t("results.looked.one") if videos == 1 else t("results.looked", videos=videos)


def _nothing(ask: Ask, answer: Query, t: Texts) -> None:
    with st.container(key="nothing", horizontal_alignment="center"):
        what = t("results.nothing") if answer.videos_searched else t("results.nowhere")
        st.html(f'<div class="cs-empty"><h3>{what}</h3><p>{t("results.nothing.why")}</p></div>')
    _misses(ask, answer, t)


def _misses(ask: Ask, answer: Query, t: Texts) -> None:
    """The way to what was withheld, if anything was."""
    if not answer.withheld or ask.all_matches:
        return
    label = t("results.misses.one") if answer.withheld == 1 else t("results.misses", count=answer.withheld)
    with st.container(horizontal_alignment="center", key="misses"):
        st.button(
            label,
            icon=":material/visibility:",
            key="results.misses",
            type="tertiary" if answer.matches else "secondary",
            on_click=look_for,
            args=(replace(ask, all_matches=True),),
        )


def _cards(matches: Sequence[Match], videos: dict[str, Video], t: Texts) -> None:
    unique = list({name_of(match): match for match in matches}.values())
    for first in range(0, len(unique), _COLUMNS):
        columns = st.columns(_COLUMNS)
        for column, match in zip(columns, unique[first : first + _COLUMNS], strict=False):
            with column:
                result_card(match, videos.get(match.video_id, Video(video_id=match.video_id)), t, SIMILAR)
