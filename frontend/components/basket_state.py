"""The visitor's basket. The page's process keeps it, so that it outlives reloads and is the same in all tabs."""

import streamlit as st

from frontend.basket import Basket, Baskets, Item
from frontend.components.visitor import visitor


@st.cache_resource(show_spinner=False)
def _baskets() -> Baskets:
    return Baskets()


def basket() -> Basket:
    return _baskets().of(visitor())


def keep(changed: Basket) -> None:
    _baskets().keep(visitor(), changed)


def put(item: Item) -> None:
    keep(basket().with_item(item))


def take(item: Item) -> None:
    keep(basket().without(item))
