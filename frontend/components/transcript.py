"""The transcript of a video: its lines in a list that is searched, plays from a line, and takes corrections."""

from collections.abc import Callable
from functools import cache, partial
from importlib import resources

import streamlit as st

from clipseek.api.documents import Transcript, Video
from clipseek.api.errors import ClipSeekError
from clipseek.client.download import file_stem
from clipseek.client.transcript import DEFAULT_REASONS, select_cues, write_transcript
from frontend.components.elements import muted
from frontend.components.messages import show_error
from frontend.logic.transcript_lines import play_from, transcript_data
from frontend.services import library_transcript, services
from frontend.texts import Texts

_LIST = "transcript.list"  # a key per video
_ERROR = "transcript.error"  # of the last correction
_FILES = {"srt": "application/x-subrip", "vtt": "text/vtt", "txt": "text/plain"}


def transcript_of(video: Video, t: Texts) -> Transcript | None:
    """The words of a video; None where there are none, or the server does not tell them."""
    if not video.cues:
        return None
    try:
        return library_transcript(video.video_id)
    except ClipSeekError as error:
        show_error(error, t)
        return None


def transcript_list(
    video: Video, words: Transcript, playing_seconds: float, play: Callable[[float], None], t: Texts
) -> None:
    """Draw the lines and the buttons that save them.

    Args:
        playing_seconds: when in the video the player's clip begins.
        play: gets the time of a line that is clicked.
    """
    st.html(f'<div class="cs-section">{t("transcript.title")}</div>')
    if error := st.session_state.pop(_ERROR, None):
        show_error(error, t)
    key = f"{_LIST}.{video.video_id}"
    draw = st.components.v2.component("transcript", js=_script(), isolate_styles=False)
    draw(
        key=key,
        data=transcript_data(words.cues, playing_seconds, t),
        on_play_change=lambda: on_play(st.session_state[key].get("play"), play),
        on_correct_change=lambda: on_correct(video.video_id, st.session_state[key].get("correct")),
    )
    if not words.complete:
        muted(t("transcript.incomplete"))
    _files(video, words, t)


def on_play(seconds: float | None, play: Callable[[float], None]) -> None:
    """Play from the line that was clicked."""
    if seconds is not None:
        play(play_from(float(seconds)))


def on_correct(video_id: str, correction: dict[str, object] | None) -> None:
    """Store what was written in place of a line; an empty text removes it. An error is shown above the list."""
    if not correction:
        return
    try:
        services().client.correct_cue(video_id, int(str(correction["cue_id"])), str(correction["text"]))
    except ClipSeekError as error:
        st.session_state[_ERROR] = error
    library_transcript.clear()


def _files(video: Video, words: Transcript, t: Texts) -> None:
    with st.container(horizontal=True, key="transcript-files", gap="small"):
        for format_, mime in _FILES.items():
            st.download_button(
                t("transcript.download", format=format_.upper()),
                data=partial(_content, words, format_),
                file_name=f"{file_stem(video.title) or 'transcript'}.{format_}",
                mime=mime,
                icon=":material/download:",
                key=f"transcript.download.{format_}",
                type="tertiary",
                on_click="ignore",
            )


def _content(words: Transcript, format_: str) -> str:
    return write_transcript(words, select_cues(words.cues, DEFAULT_REASONS.get(format_, ())), format_)


@cache
def _script() -> str:
    return resources.files("frontend").joinpath("transcript.js").read_text(encoding="utf-8")
