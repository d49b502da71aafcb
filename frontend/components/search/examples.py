"""Example searches: everyday phrases that this library answers well. It owns the keys `examples.*`."""

from collections.abc import Iterable, Sequence

import streamlit as st

from clipseek import Client
from clipseek.api.documents import Video
from clipseek.api.errors import ClipSeekError
from frontend.components.search.search_form import start_search
from frontend.logic.search_address import Ask
from frontend.services import services
from frontend.texts import Texts

PHRASES = ("example.1", "example.2", "example.3", "example.4", "example.5", "example.6")
MOST_SHOWN = 3
LEAST_SCORE = 0.7  # a match has 0.5; an example should be a clear one
_FOUND = "examples.found"  # (language and videos, the phrases that they answer)
_DRAWN = "examples.drawn"  # set while the page itself is drawn, which waits for no search
_SECONDS_UNTIL_ASKED = 0.5


def examples(videos: Sequence[Video], t: Texts) -> None:
    """Draw buttons with a description each. A library is asked once, after the page is drawn."""
    asked = (t.language, *(video.video_id for video in videos if video.status == "ready"))
    known, phrases = st.session_state.get(_FOUND, (None, []))
    if known != asked:
        st.session_state[_DRAWN] = True
        st.fragment(_find, run_every=_SECONDS_UNTIL_ASKED)(asked, t)
        return
    with st.container(horizontal=True, horizontal_alignment="center", key="examples"):
        for phrase in phrases:
            st.button(phrase, key=f"examples.{phrase}", on_click=start_search, args=(Ask(text=phrase),))


def _find(asked: tuple[str, ...], t: Texts) -> None:
    if not st.session_state.pop(_DRAWN, False):
        st.session_state[_FOUND] = asked, answered_phrases(services().client, map(t, PHRASES))
        st.rerun()


def answered_phrases(client: Client, phrases: Iterable[str]) -> list[str]:
    """The first phrases that the library answers well, none where it cannot be asked."""
    found: list[str] = []
    try:
        for phrase in phrases:
            matches = client.search(phrase, top_k=1).matches
            if matches and matches[0].score >= LEAST_SCORE:
                found.append(phrase)
            if len(found) == MOST_SHOWN:
                break
    except ClipSeekError:
        return []
    return found
