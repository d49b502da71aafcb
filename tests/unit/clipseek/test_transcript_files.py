"""A transcript as a file, in each format, and which lines go into it."""

import json

import pytest

from clipseek.api.documents import Cue, Transcript
from clipseek.api.errors import InvalidRequest
from clipseek.client.transcript import FORMATS, select_cues, write_transcript


def cue(start, end, text, source="speech", language="en", **values) -> Cue:
    return Cue(
        cue_id=round(start), start_seconds=start, end_seconds=end, text=text, source=source, language=language, **values
    )


CUES = [
    cue(0.0, 1.5, "Hello there.", confidence=0.75),
    cue(2.0, 4.25, "望远镜", "subtitle", "zh"),
    cue(3725.0625, 3726.0, "EXIT", "screen", ""),
]


def written(format_, *cues) -> str:
    transcript = Transcript(video_id="v", title="v.mp4", complete=True, cues=list(cues or CUES))
    return write_transcript(transcript, transcript.cues, format_)


def test_a_text_has_a_line_for_each_cue():
    assert written("txt") == "00:00.0  Hello there.\n00:02.0  望远镜\n1:02:05.1  [written] EXIT\n"


def test_subtitles_in_srt():
    assert written("srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n"
        "2\n00:00:02,000 --> 00:00:04,250\n望远镜\n\n"
        "3\n01:02:05,062 --> 01:02:06,000\nEXIT\n"
    )


def test_subtitles_in_vtt():
    assert written("vtt") == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:01.500\nHello there.\n\n"
        "00:00:02.000 --> 00:00:04.250\n望远镜\n\n"
        "01:02:05.062 --> 01:02:06.000\nEXIT\n"
    )


def test_json_has_all_fields():
    data = json.loads(written("json"))
    assert (data["video_id"], data["title"], data["complete"]) == ("v", "v.mp4", True)
    assert data["cues"][0] == {
        "cue_id": 0,
        "start_seconds": 0.0,
        "end_seconds": 1.5,
        "text": "Hello there.",
        "source": "speech",
        "language": "en",
        "confidence": 0.75,
        "edited": False,
    }


HOSTILE = "<script>&amp;\n\n00:00:01.000 --> 00:00:02.000\n{\\an8}\x1b[2J\u202e"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_line_stays_one_line_and_brings_no_markup_along(format_):
    text = written(format_, cue(1.0, 2.0, HOSTILE))
    assert "\x1b" not in text and "\u202e" not in text
    if format_ in ("srt", "vtt"):
        assert "<" not in text and text.count("-->") == 1
        assert [line for line in text.splitlines() if line.startswith("00:")] == [
            f"00:00:01{',' if format_ == 'srt' else '.'}000 --> 00:00:02{',' if format_ == 'srt' else '.'}000"
        ]


@pytest.mark.parametrize("format_", ["txt", "srt", "vtt"])
def test_a_line_without_a_text_is_left_out_and_one_without_a_length_is_shown(format_):
    text = written(format_, cue(1.0, 2.0, " \n"), cue(3.0, 3.0, "now"))
    assert "now" in text and text.count("now") == 1
    if format_ == "srt":
        assert text == "1\n00:00:03,000 --> 00:00:03,001\nnow\n"


@pytest.mark.parametrize("format_", FORMATS)
def test_a_video_without_words(format_):
    text = write_transcript(Transcript(video_id="v"), [], format_)
    assert text == {"txt": "", "srt": "", "vtt": "WEBVTT\n"}.get(format_, text)


@pytest.mark.parametrize(
    ("look_in", "language", "kept"),
    [
        ((), "", [0, 2, 3725]),
        ("heard", "", [0, 2]),
        (("written",), "", [3725]),
        ("heard,written", "", [0, 2, 3725]),
        ("heard", "zh", [2]),
        ((), "fr", []),
    ],
)
def test_lines_are_chosen_by_kind_and_language(look_in, language, kept):
    assert [cue.cue_id for cue in select_cues(CUES, look_in, language)] == kept


@pytest.mark.parametrize("look_in", ["seen", "said", "heard,seen"])
def test_a_transcript_has_no_pictures(look_in):
    with pytest.raises(InvalidRequest, match="look_in must be"):
        select_cues(CUES, look_in)
