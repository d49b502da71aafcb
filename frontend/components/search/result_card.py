"""A match as a card: its picture, which plays when it is clicked, where it is, how well it fits, what to do with it."""

import streamlit as st

from clipseek.api.documents import Match, Video
from clipseek.api.formats import timestamp
from frontend.components.basket.state import basket, put, take
from frontend.components.player.clip_editor import clip_editor, download_clip
from frontend.components.player.clip_player import clip_player
from frontend.components.player.video_timeline import open_timeline
from frontend.logic.basket import Item
from frontend.logic.safe_text import escaped
from frontend.media.clips import Cut
from frontend.media.thumbnails import Still
from frontend.shared import services
from frontend.texts import Texts

_PLAYING = "card.playing"  # name of the card whose clip is open
_ANOTHER_OPEN = "card.another_open"  # whether one was when that card was clicked
MATCH_SCORE = 0.5  # from here on a moment counts as a match: docs/relevance.md
LOOP = "card.loop"  # whether clips begin again at their end


def still_of(match: Match) -> Still:
    """The picture that stands for a match: where it fits best."""
    return Still(match.video_id, round(match.peak_seconds, 3))


def name_of(match: Match) -> str:
    """What tells this match from all others."""
    return f"{match.video_id[:12]}-{match.start_seconds:.2f}-{match.end_seconds:.2f}"


@st.fragment
def result_card(match: Match, video: Video, t: Texts, on_similar: str) -> None:
    """Draw a match. `on_similar` is the session-state key that takes (video id, seconds) for "more like this"."""
    if st.session_state.pop(_ANOTHER_OPEN, False):
        st.rerun()  # only this card is drawn anew by a click on it, and the other one shall close
    name = name_of(match)
    with st.container(border=True, key=f"card-{name}"):
        if st.session_state.get(_PLAYING) == name:
            clip_player(Cut(match.video_id, match.start_seconds, match.end_seconds), t, loop=_loops())
        else:
            _picture(match, name, t)
        st.html(card_words(match.title, match.start_seconds, match.end_seconds, match.score))
        _buttons(match, video, name, t, on_similar)


def _loops() -> bool:
    return bool(st.session_state.get(LOOP, False))


def _picture(match: Match, name: str, t: Texts) -> None:
    with st.container(key=f"thumb-{name}"):
        picture = services().pictures.get(still_of(match))
        if picture:
            st.image(picture, width="stretch")
        else:
            st.html('<div class="cs-nothing"></div>')
        times = f"{timestamp(match.start_seconds)} - {timestamp(match.end_seconds)}"
        st.button(
            t("card.play", moment=times),
            key=f"card.play.{name}",
            icon=":material/play_arrow:",
            width="stretch",
            on_click=_play,
            args=(name,),
        )


def _play(name: str) -> None:
    st.session_state[_ANOTHER_OPEN] = st.session_state.get(_PLAYING) is not None
    st.session_state[_PLAYING] = name


def card_words(title: str, start_seconds: float, end_seconds: float, score: float) -> str:
    """The words of a card in HTML: title, moment, and a bar as long as the score."""
    percent = round(100 * min(max(score, 0.0), 1.0))
    missed = "" if score >= MATCH_SCORE else " cs-missed"
    shown = f"{score:.2f}" if score >= 0.005 else "&lt; 0.01"
    return (
        f'<div class="cs-title" title="{escaped(title)}">{escaped(title)}</div>'
        f'<div class="cs-meta"><span>{timestamp(start_seconds)} - {timestamp(end_seconds)}</span>'
        f'<span class="cs-score{missed}"><span class="cs-bar"><i style="width:{percent}%"></i></span>{shown}</span>'
        "</div>"
    )


def _buttons(match: Match, video: Video, name: str, t: Texts, on_similar: str) -> None:
    item = Item(match.video_id, match.title, match.start_seconds, match.end_seconds)
    with st.container(horizontal=True, key=f"tools-{name}", gap="small"):
        if _tool("tune", t("card.adjust"), f"card.adjust.{name}"):
            clip_editor(item, video, t)
        cut = Cut(match.video_id, match.start_seconds, match.end_seconds)
        download_clip(cut, match.title, t, key=f"card.download.{name}", tip=t("clip.download"))
        icon, what, act = (
            ("remove_shopping_cart", "basket.remove", take)
            if item in basket().items
            else ("add_shopping_cart", "basket.add", put)
        )
        if _tool(icon, t(what), f"card.basket.{name}"):  # one button, so that it keeps the focus
            act(item)
            st.rerun()
        if _tool("image_search", t("card.similar"), f"card.similar.{name}"):
            st.session_state[on_similar] = (match.video_id, round(match.peak_seconds, 3))
            st.switch_page("views/search.py")
        if _tool("show_chart", t("card.timeline"), f"card.timeline.{name}"):
            open_timeline(match.video_id)


def _tool(icon: str, what: str, key: str) -> bool:
    return st.button(what, icon=f":material/{icon}:", key=key, help=what, type="tertiary")
