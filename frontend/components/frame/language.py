"""The language of the page: in the address where it was chosen, else the browser's."""

import streamlit as st

from frontend.texts import LANGUAGES, Texts, chosen, load

_CHOICE = "language.choice"  # of the switch
_KEPT = "language.kept"  # what was chosen or asked for by the address; outlives a change of the page
PARAM = "lang"


def texts() -> Texts:
    """The texts of this session's language."""
    asked = st.query_params.get(PARAM)
    if asked in LANGUAGES and _KEPT not in st.session_state:
        st.session_state[_KEPT] = asked
    return load(chosen(st.session_state.get(_KEPT), st.context.locale))


def params() -> dict[str, str]:
    """What the address says of the language: nothing until it was chosen."""
    kept = st.session_state.get(_KEPT)
    return {PARAM: kept} if kept else {}


def language_switch(t: Texts) -> None:
    """The switch in the page's head."""
    with st.container(key="language"):
        st.session_state[_CHOICE] = t.language
        st.segmented_control(
            t("language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key=_CHOICE,
            label_visibility="collapsed",
            on_change=_choose,
        )


def _choose() -> None:
    choice = st.session_state[_CHOICE]
    if choice:  # None: the chosen one was pressed again
        st.session_state[_KEPT] = choice
        st.query_params[PARAM] = choice
