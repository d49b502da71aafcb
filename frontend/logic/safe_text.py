"""Text that others wrote (titles, file names, descriptions), made safe to show and to name files with."""

import html
import re

_LONGEST_STEM = 180  # bytes: file systems take 255, and a place, times and a suffix come on top


def escaped(text: str) -> str:
    """The text as it is, in HTML."""
    return html.escape(text, quote=True)


def plain(text: str) -> str:
    """The text as it is, where Streamlit expects Markdown: in labels, messages and captions.

    A word joiner breaks `:name:`, which Streamlit would draw as an emoji or an icon even where it is escaped.
    """
    marked = re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
    return re.sub(r"\\:(?=\w)", "\\:\u2060", marked)


def shortened(text: str, most: int) -> str:
    """At most so many characters, the middle left out: both ends of a file's name tell something."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[len(text) - half :]}"


def clip_file_name(title: str, start_seconds: float, end_seconds: float, suffix: str = ".mp4") -> str:
    """A file name for a clip that every system takes, cut to its length in bytes: `holiday 12.0-17.5.mp4`."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,8}$", "", title)
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", stem).strip(". ")
    safe = safe.encode()[:_LONGEST_STEM].decode(errors="ignore").strip(". ") or "clip"
    return f"{safe} {start_seconds:.1f}-{end_seconds:.1f}{suffix}"
