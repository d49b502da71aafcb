"""This session's basket."""

import streamlit as st

from frontend.basket import Basket, Item

_KEY = "basket.basket"


def basket() -> Basket:
    kept: Basket = st.session_state.setdefault(_KEY, Basket())
    return kept


def keep(changed: Basket) -> None:
    st.session_state[_KEY] = changed


def put(item: Item) -> None:
    keep(basket().with_item(item))


def take(item: Item) -> None:
    keep(basket().without(item))
