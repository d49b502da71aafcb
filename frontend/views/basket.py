"""Basket: the chosen clips in their order, and the ways to export them."""

from clipseek.api.errors import ClipSeekError
from clipseek.api.formats import duration
from frontend.components.basket import basket_export, clip_list
from frontend.components.elements import empty_state, heading, muted
from frontend.components.messages import show_page_error
from frontend.components.visitor import texts, visitor_basket
from frontend.services import services
from frontend.texts import Texts


def basket_page(t: Texts) -> None:
    heading(t("page.basket"))
    basket = visitor_basket()
    if not len(basket):
        empty_state(t("basket.empty"), t("basket.empty.hint"))
        return
    try:
        videos = {video.video_id: video for video in services().client.videos()}
    except ClipSeekError as error:
        show_page_error(error, t)
        return
    muted(t.plural("basket.count", len(basket), length=duration(basket.length_seconds)))
    clip_list(videos, t)
    basket_export(videos, t)


basket_page(texts())
