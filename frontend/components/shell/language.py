"""The language of the page: the one in the address or chosen by the switch, else the browser's."""

import streamlit as st

from frontend.texts import LANGUAGES, Texts, choose_language, load_texts

_SWITCH = "language.switch"
_CHOSEN = "language.chosen"  # by the switch or by the address; stays when the visitor goes to another page
PARAM = "lang"


def texts() -> Texts:
    """The texts in this session's language."""
    requested = st.query_params.get(PARAM)
    if requested in LANGUAGES and _CHOSEN not in st.session_state:
        st.session_state[_CHOSEN] = requested
    return load_texts(choose_language(st.session_state.get(_CHOSEN), st.context.locale))


def language_params() -> dict[str, str]:
    """The language as parameters of the page's address: empty until one is chosen."""
    chosen = st.session_state.get(_CHOSEN)
    return {PARAM: chosen} if chosen else {}


def language_switch(t: Texts) -> None:
    """Draw the switch in the page's head."""
    with st.container(key="language"):
        st.session_state[_SWITCH] = t.language
        st.segmented_control(
            t("language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key=_SWITCH,
            label_visibility="collapsed",
            on_change=_choose,
        )


def _choose() -> None:
    language = st.session_state[_SWITCH]
    if language:  # None: the current language was pressed again
        st.session_state[_CHOSEN] = language
        st.query_params[PARAM] = language
