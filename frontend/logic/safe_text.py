"""Text from outside (titles, file names, descriptions), made safe to show."""

import html
import re


def escape_html(text: str) -> str:
    """The text as HTML that shows it unchanged."""
    return html.escape(text, quote=True)


def escape_markdown(text: str) -> str:
    """The text as Markdown that shows it unchanged: for Streamlit's labels, messages and captions.

    A word joiner breaks `:name:`, which Streamlit draws as an emoji or an icon even where it is escaped.
    """
    escaped = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
    return re.sub(r"\\:(?=\w)", "\\:\u2060", escaped)


def shorten(text: str, max_length: int) -> str:
    """The text without its middle if it is too long: both ends of a file name carry meaning."""
    if len(text) <= max_length:
        return text
    half = (max_length - 1) // 2
    return f"{text[: max_length - 1 - half]}…{text[len(text) - half :]}"
