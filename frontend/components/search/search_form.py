"""The search box with its filters. It owns the keys `search.*` and keeps them equal to the page's address."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from clipseek.api.documents import Video
from clipseek.api.formats import timestamp
from clipseek.api.limits import REASONS
from frontend.components.elements import uploader_texts
from frontend.components.visitor import language_params
from frontend.logic.safe_text import escape_markdown, shorten
from frontend.logic.search_address import PARAMS, Ask, lines, whole_ids
from frontend.services import services
from frontend.texts import Texts

_ASK = "search.ask"  # the current search; unlike the widgets below it stays when the visitor goes to another page
_CHANGED = "search.changed"  # set when something else than the widgets changed the search
_TEXT, _ALSO, _WITHOUT = "search.text", "search.also", "search.without"
_VIDEOS, _MIN_SCORE, _LOOK_IN = "search.videos", "search.min_score", "search.look_in"
_MIN_LENGTH, _MAX_LENGTH = "search.min_length", "search.max_length"
_IMAGE_ROUND = "search.image_round"  # part of the uploader's key: a new number empties the uploader
_IMAGE_TYPES = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tiff"]
_SIMILAR = "search.similar"  # (video id, seconds) of the moment to search like


def search_form(videos: Sequence[Video], t: Texts) -> Ask:
    """Draw the box. Returns: the search in it."""
    ask = _current(videos)
    text = st.text_input(
        t("search.label"),
        key=_TEXT,
        placeholder=t("search.placeholder"),
        label_visibility="collapsed",
        icon=":material/search:",
    )
    with st.container(horizontal=True, key="search-options", vertical_alignment="center"):
        with st.popover(t("search.details"), icon=":material/add_photo_alternate:", type="tertiary"):
            _image(ask, t)
            also = lines(st.text_area(t("search.also"), key=_ALSO, height=80, help=t("search.also.help")))
            without = lines(st.text_area(t("search.without"), key=_WITHOUT, height=80, help=t("search.without.help")))
        label = t("search.filters") + (f" ({ask.filters})" if ask.filters else "")
        with st.popover(label, icon=":material/filter_list:", type="tertiary", key="search.filter_box"):
            filtered = _filters(ask, videos, t)
        _chips(ask, videos, t)
    changed = replace(filtered, text=text, also=also, without=without)
    if _first_page(changed) != _first_page(ask):
        if changed.all_matches and changed.all_matches == ask.all_matches:
            start_search(_first_page(changed))  # the slider goes back to the cut-off
            st.rerun()
        changed = replace(changed, shown=Ask.shown)
    _save(changed)
    return changed


def search_text() -> str:
    """The description in this session's search."""
    ask: Ask = st.session_state.get(_ASK, Ask())
    return ask.text


def start_search(ask: Ask) -> None:
    """Make this the search of the next run. For callbacks."""
    st.session_state[_ASK] = ask
    st.session_state[_CHANGED] = True
    st.query_params.from_dict(_address(ask))


def search_similar(video_id: str, seconds: float) -> None:
    """Go to the search page and search for moments like this one, in the same videos as before."""
    st.session_state[_SIMILAR] = (video_id, round(seconds, 3))
    st.switch_page("views/search.py")


def _current(videos: Sequence[Video]) -> Ask:
    """The search at the start of a run: from the address if the box is new on the page, else the one before."""
    address = {name: st.query_params.get_all(name) for name in st.query_params if name in PARAMS}
    ask: Ask = st.session_state.get(_ASK, Ask())
    is_drawn = _TEXT in st.session_state
    changed, similar = st.session_state.pop(_CHANGED, False), st.session_state.pop(_SIMILAR, None)
    if similar:
        ask = Ask(like=similar, videos=ask.videos)
    elif address and not is_drawn:
        ask = Ask.from_params(address)
    elif is_drawn and not changed:
        return ask
    ask = replace(ask, videos=whole_ids(ask.videos, (video.video_id for video in videos)))
    _fill_widgets(ask)
    return ask


def _fill_widgets(ask: Ask) -> None:
    st.session_state[_TEXT] = ask.text
    st.session_state[_ALSO], st.session_state[_WITHOUT] = "\n".join(ask.also), "\n".join(ask.without)
    st.session_state[_VIDEOS], st.session_state[_LOOK_IN] = list(ask.videos), list(ask.look_in)
    st.session_state[_MIN_SCORE] = ask.threshold
    st.session_state[_MIN_LENGTH], st.session_state[_MAX_LENGTH] = ask.minimum_seconds, ask.maximum_seconds


def _save(ask: Ask) -> None:
    st.session_state[_ASK] = ask
    params = _address(ask)
    as_lists = {name: value if isinstance(value, list) else [value] for name, value in params.items()}
    if {name: st.query_params.get_all(name) for name in st.query_params} != as_lists:
        st.query_params.from_dict(params)


def _address(ask: Ask) -> dict[str, str | list[str]]:
    return {**ask.to_params(), **language_params()}


def _first_page(ask: Ask) -> Ask:
    """The search without "show more" and without weaker candidates."""
    return replace(ask, all_matches=False, shown=Ask.shown)


def _image(ask: Ask, t: Texts) -> None:
    """Read an image that is dropped; from then on it belongs to the search."""
    round_ = st.session_state.setdefault(_IMAGE_ROUND, 0)
    uploader_texts("search-image", t("upload.image_button"), t("upload.image_limit"))
    file = st.file_uploader(t("search.image"), type=_IMAGE_TYPES, key=f"search.image.{round_}", max_upload_size=32)
    if file:
        st.session_state[_IMAGE_ROUND] += 1
        start_search(_first_page(replace(ask, image=services().query_images.save(file.name, file.getvalue()))))
        st.rerun()


def _filters(ask: Ask, videos: Sequence[Video], t: Texts) -> Ask:
    by_title = sorted(videos, key=lambda video: video.title.casefold())
    titles = {video.video_id: shorten(video.title, 60) for video in by_title}
    st.session_state[_VIDEOS] = [video_id for video_id in st.session_state[_VIDEOS] if video_id in titles]
    chosen = st.multiselect(
        t("filter.videos"),
        list(titles),
        key=_VIDEOS,
        format_func=lambda video_id: titles.get(video_id, video_id),
        placeholder=t("filter.all_videos"),
    )
    look_in = st.pills(
        t("filter.look_in"),
        REASONS,
        selection_mode="multi",
        key=_LOOK_IN,
        format_func=lambda reason: t(f"reason.{reason}"),
        help=t("filter.look_in.help"),
    )
    threshold = st.slider(t("filter.min_score"), 0.0, 1.0, key=_MIN_SCORE, step=0.01, help=t("filter.min_score.help"))
    return replace(
        ask.with_threshold(threshold),
        look_in=tuple(reason for reason in REASONS if reason in look_in),
        videos=tuple(chosen),
        minimum_seconds=_seconds_input(t("filter.min_length"), _MIN_LENGTH),
        maximum_seconds=_seconds_input(t("filter.max_length"), _MAX_LENGTH, t("filter.max_length.help")),
    )


def _seconds_input(label: str, key: str, tip: str | None = None) -> float:
    return st.number_input(label, min_value=0.0, key=key, step=1.0, format="%.1f", help=tip)


def _chips(ask: Ask, videos: Sequence[Video], t: Texts) -> None:
    """The rest of the search beside the text. A click removes a part."""
    if ask.like:
        video_id, seconds = ask.like
        title = next((video.title for video in videos if video.video_id.startswith(video_id)), video_id)
        label = t("search.like", title=_chip_text(title), time=timestamp(seconds))
        _chip(label, "search.remove_like", replace(ask, like=None), t)
    if ask.image:
        image = services().query_images.get(ask.image)
        label = t("search.image_chip", name=_chip_text(image.name if image else ask.image))
        _chip(label, "search.remove_image", _first_page(replace(ask, image="")), t)
    for number, text in enumerate(ask.without):
        rest = tuple(other for other in ask.without if other != text)
        label = t("search.without_chip", text=_chip_text(text))
        _chip(label, f"search.remove_without.{number}", replace(ask, without=rest), t)


def _chip_text(text: str) -> str:
    return escape_markdown(shorten(text, 30))


def _chip(label: str, key: str, rest: Ask, t: Texts) -> None:
    """A button that goes on with `rest`, the search without what the label names."""
    if st.button(label, icon=":material/close:", key=key, help=t("search.remove")):
        start_search(rest)
        st.rerun()
