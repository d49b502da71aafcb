"""Basket: the clips that were chosen, in order, and the ways to take them along."""

import streamlit as st

from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import duration
from frontend.components.basket.clip_list import basket_list
from frontend.components.basket.export import basket_export
from frontend.components.basket.state import basket
from frontend.components.frame import language
from frontend.components.frame.trouble import page_trouble
from frontend.shared import services
from frontend.texts import Texts


def basket_page(t: Texts) -> None:
    st.html(f'<div class="cs-head"><h2>{t("page.basket")}</h2></div>')
    if not len(basket()):
        st.html(f'<div class="cs-empty"><h3>{t("basket.empty")}</h3><p>{t("basket.empty.how")}</p></div>')
        return
    try:
        videos = {video.video_id: video for video in services().client.videos()}
    except ClipSeekError as error:
        page_trouble(error, t)
        return
    count, length = len(basket()), duration(basket().length_seconds)
    key = "basket.count.one" if count == 1 else "basket.count"
    st.html(f'<span class="cs-soft">{t(key, count=count, length=length)}</span>')
    basket_list(videos, t)
    basket_export(videos, t)


basket_page(language.texts())
