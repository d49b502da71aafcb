"""A match as a card: a thumbnail that plays when clicked, its times and score, and what to do with it."""

import streamlit as st

from clipseek.api.documents import Match, Video
from clipseek.api.formats import marked_parts, spaced, timestamp
from clipseek.api.limits import REASONS
from frontend.components.clip_editor import clip_editor, download_clip
from frontend.components.elements import clip_player, thumbnail, title_html, tool_button
from frontend.components.search.search_form import search_similar
from frontend.components.video_timeline import open_timeline
from frontend.components.visitor import add_to_basket, remove_from_basket, visitor_basket
from frontend.logic.basket import BasketItem
from frontend.logic.safe_text import escape_html
from frontend.media.caches import ClipKey, ThumbnailKey
from frontend.texts import Texts

_LINE_CHARACTERS = 110  # of the words on a card: three rows
LOOP = "card.loop"  # whether clips start again at their end
_PLAYING = "card.playing"  # name of the card whose clip plays
_CLOSE_OTHER = "card.close_other"  # whether another card played when this one was clicked


def match_thumbnail(match: Match) -> ThumbnailKey:
    """The frame that shows a match: the one with the best score."""
    return ThumbnailKey(match.video_id, round(match.peak_seconds, 3))


def match_name(match: Match) -> str:
    """A name that only this match has, for the keys of its card."""
    return f"{match.video_id[:12]}-{match.start_seconds:.2f}-{match.end_seconds:.2f}"


@st.fragment
def result_card(match: Match, video: Video, t: Texts, query: str = "") -> None:
    """Draw a match of this video. `query` says what was looked for: the basket keeps it."""
    if st.session_state.pop(_CLOSE_OTHER, False):
        st.rerun()  # a click redraws only its own card, and the other one must close
    name = match_name(match)
    with st.container(border=True, key=f"card-{'weak-' if match.is_weak else ''}{name}"):
        if st.session_state.get(_PLAYING) == name:
            clip = ClipKey(match.video_id, match.start_seconds, match.end_seconds)
            clip_player(clip, t, loop=bool(st.session_state.get(LOOP, False)))
        else:
            _thumbnail(match, name, t)
        st.html(card_html(match, t))
        _tools(match, video, name, t, query)


def _thumbnail(match: Match, name: str, t: Texts) -> None:
    with st.container(key=f"thumb-{name}"):
        thumbnail(match_thumbnail(match))
        times = f"{timestamp(match.start_seconds)} - {timestamp(match.end_seconds)}"
        st.button(
            t("card.play", times=times),
            key=f"card.play.{name}",
            icon=":material/play_arrow:",
            width="stretch",
            on_click=_play,
            args=(name,),
        )


def _play(name: str) -> None:
    st.session_state[_CLOSE_OTHER] = st.session_state.get(_PLAYING) is not None
    st.session_state[_PLAYING] = name


def card_html(match: Match, t: Texts) -> str:
    """The words of a card: title, times, a bar as long as the score, and why it is a match."""
    score = match.score
    percent = round(100 * min(max(score, 0.0), 1.0))
    weak = " cs-weak" if match.is_weak else ""
    number = f"{score:.2f}" if score >= 0.005 else "&lt; 0.01"
    return (
        f'{title_html(match.title)}<div class="cs-meta">'
        f"<span>{timestamp(match.start_seconds)} - {timestamp(match.end_seconds)}</span>"
        f'<span class="cs-score{weak}"><span class="cs-bar"><i style="width:{percent}%"></i></span>{number}</span>'
        f"</div>{_why_html(match, t)}"
    )


def _why_html(match: Match, t: Texts) -> str:
    """What was seen, heard or written, and the line with the found words marked."""
    badges = "".join(
        f'<span class="cs-status cs-{reason}">{t(f"reason.{reason}")}</span>'
        for reason in match.reasons
        if reason in REASONS
    )
    if not badges:
        return ""
    parts = marked_parts(match.line, match.line_marks, _LINE_CHARACTERS)
    shown = [(escape_html(spaced(text)), is_found) for text, is_found in parts]
    line = "".join(f"<mark>{text}</mark>" if is_found else text for text, is_found in shown)
    meaning = f' <span class="cs-soft">({t("reason.by_meaning")})</span>' if match.by_meaning else ""
    said = f'<div class="cs-said" dir="auto" title="{escape_html(spaced(match.line))}">“{line}”{meaning}</div>'
    return f'<div class="cs-why">{badges}</div>{said if line else ""}'


def _tools(match: Match, video: Video, name: str, t: Texts, query: str) -> None:
    item = BasketItem(
        *(match.video_id, match.title, match.start_seconds, match.end_seconds),
        *(query, match.score, tuple(match.reasons), match.line),
    )
    with st.container(horizontal=True, key=f"tools-{name}", gap="small"):
        if tool_button("tune", t("card.adjust"), f"card.adjust.{name}"):
            clip_editor(item, video, t)
        clip = ClipKey(match.video_id, match.start_seconds, match.end_seconds)
        download_clip(clip, match.title, t, key=f"card.download.{name}", tip=t("clip.download"))
        icon, label, change = (
            ("remove_shopping_cart", "basket.remove", remove_from_basket)
            if item in visitor_basket().items
            else ("add_shopping_cart", "basket.add", add_to_basket)
        )
        if tool_button(icon, t(label), f"card.basket.{name}"):  # the same button for both, so it keeps the focus
            change(item)
            st.rerun()
        if tool_button("image_search", t("card.similar"), f"card.similar.{name}"):
            search_similar(match.video_id, match.peak_seconds)
        if tool_button("show_chart", t("card.timeline"), f"card.timeline.{name}"):
            open_timeline(match.video_id)
