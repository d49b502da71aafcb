"""The search box with its filters. It owns the keys `search.*` and keeps them and the page's address the same."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.formats import timestamp
from frontend.components.frame import language
from frontend.logic.safe_text import plain, shortened
from frontend.logic.search_address import PARAMS, Ask, lines, whole_ids
from frontend.shared import services
from frontend.texts import Texts

_ASK = "search.ask"  # what is asked; outlives a change of the page, unlike the widgets below
_CHANGED = "search.changed"  # set where what is asked was changed by something else than the widgets
_TEXT, _ALSO, _WITHOUT = "search.text", "search.also", "search.without"
_VIDEOS, _LEAST, _SHORTEST, _LONGEST = "search.videos", "search.least", "search.shortest", "search.longest"
_IMAGE_ROUND = "search.image_round"  # part of the uploader's key: a new one empties it
SIMILAR = "search.similar"  # a card puts (video id, seconds) here


def search_form(videos: Sequence[Video], t: Texts) -> Ask:
    """Draw the box and answer what is asked."""
    ask = _asked(videos)
    text = st.text_input(
        t("search.label"),
        key=_TEXT,
        placeholder=t("search.placeholder"),
        label_visibility="collapsed",
        icon=":material/search:",
    )
    with st.container(horizontal=True, key="search-options", vertical_alignment="center"):
        with st.popover(t("search.more_ways"), icon=":material/add_photo_alternate:", type="tertiary"):
            _image(ask, t)
            also = lines(st.text_area(t("search.also"), key=_ALSO, height=80, help=t("search.also.help")))
            without = lines(st.text_area(t("search.without"), key=_WITHOUT, height=80, help=t("search.without.help")))
        label = t("search.filters") + (f" ({ask.filters})" if ask.filters else "")
        with st.popover(label, icon=":material/filter_list:", type="tertiary", key="search.filter_box"):
            ask_where = _filters(ask, videos, t)
        _chips(ask, videos, t)
    asked = replace(ask_where, text=text, also=also, without=without)
    if _narrowed(asked) != _narrowed(ask):
        asked = replace(asked, all_matches=False, shown=Ask.shown)
    _keep(asked)
    return asked


def _keep(ask: Ask) -> None:
    """Make this what is asked, here and in the page's address."""
    st.session_state[_ASK] = ask
    params = _address(ask)
    if {name: st.query_params.get_all(name) for name in st.query_params} != _listed(params):
        st.query_params.from_dict(params)


def asked_text() -> str:
    """The description that is searched for in this session."""
    ask: Ask = st.session_state.get(_ASK, Ask())
    return ask.text


def look_for(ask: Ask) -> None:
    """For callbacks: ask this in the next run."""
    st.session_state[_ASK] = ask
    st.session_state[_CHANGED] = True
    st.query_params.from_dict(_address(ask))


def _address(ask: Ask) -> dict[str, str | list[str]]:
    return {**ask.to_params(), **language.params()}


def _narrowed(ask: Ask) -> Ask:
    """The first page of the matches of what is asked."""
    return replace(ask, all_matches=False, shown=Ask.shown)


def _asked(videos: Sequence[Video]) -> Ask:
    """What is asked at the beginning of a run: by the address when the box is drawn first, else as it was."""
    address = {name: st.query_params.get_all(name) for name in st.query_params if name in PARAMS}
    kept: Ask = st.session_state.get(_ASK, Ask())
    drawn = _TEXT in st.session_state
    changed, similar = st.session_state.pop(_CHANGED, False), st.session_state.pop(SIMILAR, None)
    if similar:
        kept = Ask(like=similar, videos=kept.videos)
    elif address and not drawn:
        kept = Ask.from_params(address)
    elif drawn and not changed:
        return kept
    kept = replace(kept, videos=whole_ids(kept.videos, (video.video_id for video in videos)))
    st.session_state[_TEXT] = kept.text
    st.session_state[_ALSO], st.session_state[_WITHOUT] = "\n".join(kept.also), "\n".join(kept.without)
    st.session_state[_VIDEOS] = list(kept.videos)
    st.session_state[_LEAST] = kept.least_score
    st.session_state[_SHORTEST], st.session_state[_LONGEST] = kept.minimum_seconds, kept.maximum_seconds
    return kept


def _listed(params: dict[str, str | list[str]]) -> dict[str, list[str]]:
    return {name: value if isinstance(value, list) else [value] for name, value in params.items()}


def _image(ask: Ask, t: Texts) -> None:
    """Take an image that is dropped; from then on it is part of what is asked."""
    round_ = st.session_state.setdefault(_IMAGE_ROUND, 0)
    file = st.file_uploader(
        t("search.image"),
        type=["jpg", "jpeg", "png", "webp", "bmp", "gif", "tiff"],
        key=f"search.image.{round_}",
        max_upload_size=32,
    )
    if file:
        st.session_state[_IMAGE_ROUND] += 1
        look_for(_narrowed(replace(ask, image=services().query_images.keep(file.name, file.getvalue()))))
        st.rerun()


def _filters(ask: Ask, videos: Sequence[Video], t: Texts) -> Ask:
    by_title = sorted(videos, key=lambda video: video.title.casefold())
    titles = {video.video_id: shortened(video.title, 60) for video in by_title}
    st.session_state[_VIDEOS] = [video_id for video_id in st.session_state[_VIDEOS] if video_id in titles]
    chosen = st.multiselect(
        t("filter.videos"),
        list(titles),
        key=_VIDEOS,
        format_func=lambda video_id: titles.get(video_id, video_id),
        placeholder=t("filter.all_videos"),
    )
    least = st.slider(t("filter.least"), 0.0, 1.0, key=_LEAST, step=0.01, help=t("filter.least.help"))
    shortest = st.number_input(t("filter.shortest"), min_value=0.0, key=_SHORTEST, step=1.0, format="%.1f")
    longest = st.number_input(
        t("filter.longest"), min_value=0.0, key=_LONGEST, step=1.0, format="%.1f", help=t("filter.longest.help")
    )
    return replace(
        ask,
        videos=tuple(chosen),
        least_score=least,
        minimum_seconds=shortest,
        maximum_seconds=longest,
    )


def _chips(ask: Ask, videos: Sequence[Video], t: Texts) -> None:
    """What is looked for beside the text, each to be taken away with a click."""
    if ask.like:
        video_id, seconds = ask.like
        title = next((video.title for video in videos if video.video_id.startswith(video_id)), video_id)
        label = t("search.like", title=plain(shortened(title, 30)), time=timestamp(seconds))
        if st.button(label, icon=":material/close:", key="search.unlike", help=t("search.take_away")):
            look_for(replace(ask, like=None))
            st.rerun()
    if ask.image:
        picture = services().query_images.get(ask.image)
        label = t("search.picture", name=plain(shortened(picture.name if picture else ask.image, 30)))
        if st.button(label, icon=":material/close:", key="search.unpicture", help=t("search.take_away")):
            look_for(_narrowed(replace(ask, image="")))
            st.rerun()
    for number, each in enumerate(ask.without):
        if st.button(
            t("search.not", text=plain(shortened(each, 30))),
            icon=":material/close:",
            key=f"search.unwithout.{number}",
            help=t("search.take_away"),
        ):
            look_for(replace(ask, without=tuple(other for other in ask.without if other != each)))
            st.rerun()
