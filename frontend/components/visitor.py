"""Who visits: their browser and its script; their basket, the same in all tabs and after reloads; their language."""

import json
import re
import uuid
from functools import cache
from importlib import resources

import streamlit as st

from frontend.logic.basket import Basket, BasketItem
from frontend.services import services
from frontend.texts import LANGUAGES, Texts, choose_language, load_texts

_NUMBER = "visitor.number"
_COOKIE = "clipseek_visitor"
_COOKIE_SECONDS = 30 * 24 * 3600
_SWITCH = "language.switch"
_CHOSEN = "language.chosen"  # by the switch or by the address; stays when the visitor goes to another page
PARAM = "lang"


def visitor() -> str:
    """The number of this browser, 32 hex digits, the same in all its tabs: from its cookie, else a new one."""
    if _NUMBER not in st.session_state:
        cookie = st.context.cookies.get(_COOKIE, "")
        st.session_state[_NUMBER] = cookie if re.fullmatch("[0-9a-f]{32}", cookie) else uuid.uuid4().hex
    number: str = st.session_state[_NUMBER]
    return number


def visitor_script(language: str) -> None:
    """Put `page.js` into a page: it stores the visitor's number and does what Streamlit cannot."""
    values = {"visitor": visitor(), "cookie": _COOKIE, "cookieSeconds": _COOKIE_SECONDS, "language": language}
    with st.container(key="visitor"):
        st.html(f"<script>window.clipseek = {json.dumps(values)};{_script()}</script>", unsafe_allow_javascript=True)


@cache
def _script() -> str:
    return resources.files("frontend").joinpath("page.js").read_text(encoding="utf-8")


def visitor_basket() -> Basket:
    return services().baskets.read(visitor())


def save_basket(basket: Basket) -> None:
    services().baskets.write(visitor(), basket)


def add_to_basket(item: BasketItem) -> None:
    save_basket(visitor_basket().add(item))


def remove_from_basket(item: BasketItem) -> None:
    save_basket(visitor_basket().remove(item))


def texts() -> Texts:
    """The texts in the language of the address or chosen by the switch, else in the browser's."""
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
