"""Text from outside (titles, file names, descriptions), made safe to show and to name files with."""

import html
import re

_MAX_STEM_BYTES = 180  # file systems allow 255; the place, the times and the suffix need the rest


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


def clip_file_name(title: str, start_seconds: float, end_seconds: float, suffix: str = ".mp4") -> str:
    """A file name for a clip that every system accepts, such as `holiday 12.0-17.5.mp4`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,8}$", "", title)
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", stem).strip(". ")
    safe = safe.encode()[:_MAX_STEM_BYTES].decode(errors="ignore").strip(". ") or "clip"
    return f"{safe} {start_seconds:.1f}-{end_seconds:.1f}{suffix}"
