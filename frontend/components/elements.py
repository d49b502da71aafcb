"""The small pieces that several components draw."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from frontend.components.messages import errors_shown
from frontend.logic.safe_text import escape_html
from frontend.media.caches import ClipKey, ThumbnailKey
from frontend.services import services
from frontend.texts import Texts

T = TypeVar("T")

_COLUMNS = 3


def heading(text: str) -> None:
    """The heading of a page."""
    st.html(f'<div class="cs-head"><h2>{text}</h2></div>')


def empty_state(title: str, hint: str = "") -> None:
    """A message in the middle of the page: there is nothing to show, and what to do."""
    st.html(f'<div class="cs-empty"><h3>{title}</h3>{f"<p>{hint}</p>" if hint else ""}</div>')


def divider(text: str) -> None:
    """A line across the page, with what is below it."""
    st.html(f'<h3 class="cs-line">{text}</h3>')


def muted(html: str, *, stretch: bool = True) -> None:
    """A line in a soft colour."""
    st.html(f'<span class="cs-soft">{html}</span>', width="stretch" if stretch else "content")


def title_html(title: str, *, prefix: str = "", is_wide: bool = False) -> str:
    """A title cut to one line, whole on hover."""
    style = "cs-title cs-wide" if is_wide else "cs-title"
    return f'<div class="{style}" title="{escape_html(title)}">{prefix}{escape_html(title)}</div>'


def thumbnail(key: ThumbnailKey) -> None:
    """A thumbnail, or an empty frame where there is none."""
    jpeg = services().thumbnails.get(key)
    if jpeg:
        st.image(jpeg, width="stretch")
    else:
        st.html('<div class="cs-nothing"></div>')


def tool_button(
    icon: str,
    label: str,
    key: str,
    on_click: Callable[..., None] | None = None,
    *args: object,
    disabled: bool = False,
) -> bool:
    """A button that shows an icon only; its label is its tip and its name for screen readers."""
    return st.button(
        label,
        icon=f":material/{icon}:",
        key=key,
        help=label,
        type="tertiary",
        disabled=disabled,
        on_click=on_click,
        args=args,
    )


def card_grid(items: Sequence[T], draw_card: Callable[[T], None]) -> None:
    """Draw a card for each item, in rows of three."""
    for first in range(0, len(items), _COLUMNS):
        for column, item in zip(st.columns(_COLUMNS), items[first : first + _COLUMNS], strict=False):
            with column:
                draw_card(item)


def uploader_texts(key: str, button: str, limit: str) -> None:
    """Cover the words of the uploaders whose keys start with `key`: Streamlit has them in English only."""
    texts = {
        "button [data-testid=stMarkdownContainer]": button,
        "[data-testid=stFileUploaderDropzoneInstructions]": limit,
    }
    rules = (
        f'[class*="st-key-{key}"] {element} > * {{ display: none; }}'
        f'[class*="st-key-{key}"] {element}::after {{ content: "{text}"; }}'
        for element, text in texts.items()
    )
    st.html(f"<style>{''.join(rules)}</style>")


def clip_player(key: ClipKey, t: Texts, *, loop: bool = False) -> None:
    """Play a clip, or show why it cannot be cut. The server cuts it, so the browser never loads the whole video."""
    with errors_shown(t):
        with st.spinner(t("clip.cutting")):
            path = services().clips.path(key)
        st.video(str(path), autoplay=True, loop=loop)
