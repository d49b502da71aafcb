"""Exports, read back as editors read them: every frame, rate, timecode, path and text is where it was put."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import opentimelineio as otio
import pytest

from clipseek.api.documents import Match, QueryPart, Video
from clipseek.api.errors import InvalidRequest
from clipseek.exports.edit_list import EditList, make_edit_list
from clipseek.exports.edl import name_reels
from clipseek.exports.formats import EXPORT_FORMATS
from clipseek.exports.media_paths import file_url, find_media, media_path, reader_path
from clipseek.exports.moments import Moment, query_text, read_moments
from clipseek.timecode import Timecode

TITLE = '《长城》 "day & night" <1>.mp4'
RATES = {
    "23.976": Fraction(24000, 1001),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
}
STARTS = [
    *((rate, first) for rate in RATES for first in ("", "01:00:00:00")),
    *((rate, first) for rate in ("29.97", "59.94") for first in ("01:00:00;00", "09:59:57;12")),
    ("25", "09:59:57:12"),
]
FRAMES = ((0, 1), (7, 40), ("hour", 31))  # first frame and length of each moment; "hour": the one at 3600 s


def make_video(rate: str = "25", first: str = "", key: str = "a", title: str = TITLE, **values) -> Video:
    clock = {"timecode": first, "timecode_rate": str(RATES[rate])} if first else {}
    shape = {
        "fps": float(rate),
        "duration_seconds": 4000.0,
        "width": 1920,
        "height": 1080,
        "has_audio": True,
        "size_bytes": 7,
    }
    return Video(video_id=key * 64, title=title, **(shape | clock | values))


def at(rate: str, frame: int | str) -> int:
    return round(3600 * RATES[rate]) if frame == "hour" else int(frame)


def moments_of(video: Video, rate: str) -> list[Moment]:
    """A moment for each of FRAMES, its times as a search answers them: rounded to milliseconds."""
    fps = RATES[rate]
    ranges = [(at(rate, start), at(rate, start) + length) for start, length in FRAMES]
    return [Moment(video.video_id, video.title, round(float(a / fps), 3), round(float(b / fps), 3)) for a, b in ranges]


def one_rate(rate: str, first: str) -> tuple[EditList, list[tuple[int, int]]]:
    """The list of FRAMES of a video, and which frames `[start, end)` of its file they are."""
    video = make_video(rate, first)
    path = {video.video_id: PurePosixPath("/Volumes/胶片 1/长 & 城.mp4")}
    edits = make_edit_list(moments_of(video, rate), {video.video_id: video}, path, TITLE)
    return edits, [(at(rate, start), at(rate, start) + length) for start, length in FRAMES]


def frame_of_first(rate: str, first: str) -> int:
    return Timecode.parse(first, RATES[rate]).frame if first else 0


@dataclass(frozen=True)
class ReadClip:
    """A clip as an adapter of OpenTimelineIO gives it: frames of the source by its timecode, and of the list."""

    name: str
    start: int
    end: int
    at: int
    until: int


def read_clips(track) -> list[ReadClip]:
    clips = []
    for clip in track.find_clips():
        source, place = clip.source_range, clip.trimmed_range_in_parent()
        frames = [source.start_time, source.end_time_exclusive(), place.start_time, place.end_time_exclusive()]
        clips.append(ReadClip(clip.name, *(round(time.value) for time in frames)))
    return clips


def places() -> list[tuple[int, int]]:
    lengths = [length for _, length in FRAMES]
    return [(sum(lengths[:n]), sum(lengths[: n + 1])) for n in range(len(lengths))]


def expected(ranges: list[tuple[int, int]], first: int, name: str = TITLE) -> list[ReadClip]:
    return [
        ReadClip(name, start + first, end + first, *place) for (start, end), place in zip(ranges, places(), strict=True)
    ]


@pytest.mark.parametrize(("rate", "first"), STARTS)
def test_otio_has_the_frames_of_the_source(rate, first):
    edits, ranges = one_rate(rate, first)
    timeline = otio.adapters.read_from_string(EXPORT_FORMATS["otio"].write(edits), "otio_json")
    begin = frame_of_first(rate, first)
    assert timeline.name == TITLE and timeline.global_start_time.rate == float(RATES[rate])
    for track, kind in zip(timeline.tracks, ("Video", "Audio"), strict=True):
        assert track.kind == kind and read_clips(track) == expected(ranges, begin)
        for clip in track.find_clips():
            available = clip.media_reference.available_range
            assert (available.start_time.value, available.duration.value) == (begin, round(4000 * RATES[rate]))
            assert unquote(urlsplit(clip.media_reference.target_url).path) == "/Volumes/胶片 1/长 & 城.mp4"


@pytest.mark.parametrize(("rate", "first"), STARTS)
def test_edl_has_the_timecodes_of_the_source(rate, first):
    edits, ranges = one_rate(rate, first)
    text = EXPORT_FORMATS["edl"].write(edits)
    assert text.splitlines()[1] == ("FCM: DROP FRAME" if ";" in first else "FCM: NON-DROP FRAME")
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=float(RATES[rate]))
    assert [track.kind for track in timeline.tracks] == ["Video", "Audio", "Audio"]
    for track in timeline.tracks:
        assert read_clips(track) == expected(ranges, frame_of_first(rate, first))


@pytest.mark.parametrize(("rate", "first"), STARTS)
def test_fcp7_has_the_frames_of_the_source(rate, first):
    edits, ranges = one_rate(rate, first)
    text = EXPORT_FORMATS["fcp7"].write(edits)
    timeline = otio.adapters.read_from_string(text, "fcp_xml")
    assert [track.kind for track in timeline.tracks] == ["Video", "Audio", "Audio"]
    begin = frame_of_first(rate, first)
    for track in timeline.tracks:
        assert read_clips(track) == expected(ranges, begin)
        for clip in track.find_clips():
            available = clip.media_reference.available_range
            assert available.start_time == otio.opentime.RationalTime(begin, float(RATES[rate]))
    root = ElementTree.fromstring(text)
    rates = {(rate.findtext("timebase"), rate.findtext("ntsc")) for rate in root.iter("rate")}
    assert rates == {(str(round(RATES[rate])), "TRUE" if RATES[rate].denominator > 1 else "FALSE")}
    file = root.find(".//file[pathurl]")
    assert file.findtext("pathurl") == "file://localhost/Volumes/%E8%83%B6%E7%89%87%201/%E9%95%BF%20%26%20%E5%9F%8E.mp4"
    assert file.findtext("timecode/string") == (first or "00:00:00:00")
    assert file.findtext("timecode/displayformat") == ("DF" if ";" in first else "NDF")
    assert file.findtext("duration") == str(round(4000 * RATES[rate]))


def seconds(text: str) -> Fraction:
    return Fraction(text.removesuffix("s"))


@pytest.mark.parametrize(("rate", "first"), STARTS)
def test_fcpxml_has_the_frames_of_the_source(rate, first):
    """Read by hand: the adapter takes 29.97 for 29."""
    edits, ranges = one_rate(rate, first)
    root = ElementTree.fromstring(EXPORT_FORMATS["fcpxml"].write(edits))
    [form] = root.findall("resources/format")
    frame = seconds(form.get("frameDuration"))
    assert frame == 1 / RATES[rate] and (form.get("width"), form.get("height")) == ("1920", "1080")
    begin = frame_of_first(rate, first)
    [asset] = root.findall("resources/asset")
    assert (seconds(asset.get("start")) / frame, seconds(asset.get("duration")) / frame) == (
        begin,
        round(4000 * RATES[rate]),
    )
    assert (asset.get("hasVideo"), asset.get("hasAudio"), asset.get("audioChannels")) == ("1", "1", "2")
    assert asset.get("src") == "file:///Volumes/%E8%83%B6%E7%89%87%201/%E9%95%BF%20%26%20%E5%9F%8E.mp4"
    clips = []
    for clip in root.iter("asset-clip"):
        start, length, place = (seconds(clip.get(name)) / frame for name in ("start", "duration", "offset"))
        clips.append(ReadClip(clip.get("name"), start, start + length, place, place + length))
        assert clip.get("tcFormat") == ("DF" if ";" in first else "NDF") and clip.find("conform-rate") is None
    assert clips == expected(ranges, begin)
    assert seconds(root.find(".//sequence").get("duration")) / frame == places()[-1][1]


@pytest.mark.parametrize("rate", ["25", "50"])
def test_fcpxml_is_read_by_the_adapter_at_whole_rates(rate):
    edits, ranges = one_rate(rate, "01:00:00:00")
    event = otio.adapters.read_from_string(EXPORT_FORMATS["fcpxml"].write(edits), "fcpx_xml")
    [track] = event[0].tracks
    assert read_clips(track) == expected(ranges, frame_of_first(rate, "01:00:00:00"))


# Mixed rates


def mixed(rate: float = 0.0) -> EditList:
    """A second of each of three videos, from their second one on."""
    videos = {
        video.video_id: video
        for video in (
            make_video("29.97", "01:00:00;00", "a"),
            make_video("25", "10:00:00:00", "b"),
            make_video("50", "", "c", has_audio=False),
        )
    }
    frames = {"a": (30, 60, "29.97"), "b": (25, 50, "25"), "c": (50, 100, "50")}
    moments = [
        Moment(key * 64, TITLE, float(start / RATES[fps]), float(end / RATES[fps]))
        for key, (start, end, fps) in frames.items()
    ]
    return make_edit_list(moments, videos, {key: PurePosixPath(f"/m/{key[0]}.mp4") for key in videos}, rate=rate)


def test_a_list_has_the_rate_of_its_first_video_or_the_wanted_one():
    assert (mixed().rate, mixed().zero.drops) == (RATES["29.97"], True)
    assert [source.video_id[0] for source in mixed().other_rates] == ["b", "c"]
    assert (mixed(25).rate, mixed(25).zero.drops) == (25, False)
    assert (mixed(29.97).rate, mixed(29.97).zero.drops) == (RATES["29.97"], True)
    assert mixed(23.976).rate == RATES["23.976"]
    for rate in (-1, 0.5, 1000):
        with pytest.raises(InvalidRequest, match="The rate must be from 1 to 240 frames a second"):
            mixed(rate)


def test_otio_keeps_the_rate_of_each_source():
    timeline = otio.adapters.read_from_string(EXPORT_FORMATS["otio"].write(mixed()), "otio_json")
    pictures, sound = timeline.tracks
    ranges = [(c.source_range.start_time.value, c.source_range.duration.value) for c in pictures.find_clips()]
    assert ranges == [(107892 + 30, 30), (900000 + 25, 25), (50, 50)]
    rates = [clip.source_range.start_time.rate for clip in pictures.find_clips()]
    assert rates == [float(RATES[rate]) for rate in ("29.97", "25", "50")]
    assert [type(item).__name__ for item in sound] == ["Clip", "Clip", "Gap"]


def test_an_edl_counts_each_source_at_its_own_rate_and_notes_the_sources_timecode():
    text = EXPORT_FORMATS["edl"].write(mixed(25))
    events = [line.split()[1:] for line in text.splitlines() if re.match(r"\d{3} ", line)]
    assert [event[1] for event in events] == ["AA/V", "AA/V", "V"]
    assert [event[3:] for event in events] == [
        ["01:00:01:00", "01:00:02:00", "00:00:00:00", "00:00:01:00"],
        ["10:00:01:00", "10:00:02:00", "00:00:01:00", "00:00:02:00"],
        ["00:00:01:00", "00:00:02:00", "00:00:02:00", "00:00:03:00"],
    ]
    lines = [line for line in text.splitlines() if line.startswith("* SOURCE RATE") or "TIMECODE" in line]
    assert lines == [
        "* SOURCE RATE: 29.97",
        "* SOURCE TIMECODE: 01:00:01;00 01:00:02;00",
        "* SOURCE RATE: 50",
        "* SOURCE TIMECODE: 00:00:01:00 00:00:02:00",
    ]
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=25)
    assert [clip.duration().value for clip in timeline.tracks[0].find_clips()] == [25, 25, 25]


def test_fcp7_has_the_rate_of_each_source():
    timeline = otio.adapters.read_from_string(EXPORT_FORMATS["fcp7"].write(mixed(25)), "fcp_xml")
    pictures, left, right = timeline.tracks
    ranges = [clip.source_range for clip in pictures.find_clips()]
    assert [(r.start_time.value, round(r.duration.value)) for r in ranges] == [(107922, 30), (900025, 25), (50, 50)]
    assert [r.start_time.rate for r in ranges] == [float(RATES[rate]) for rate in ("29.97", "25", "50")]
    assert [len(list(track.find_clips())) for track in (left, right)] == [2, 2]
    root = ElementTree.fromstring(EXPORT_FORMATS["fcp7"].write(mixed(25)))
    clips = root.findall(".//video/track/clipitem")
    assert [(clip.findtext("in"), clip.findtext("out")) for clip in clips] == [
        ("30", "60"),
        ("25", "50"),
        ("50", "100"),
    ]
    assert [(clip.findtext("start"), clip.findtext("end")) for clip in clips] == [
        ("0", "25"),
        ("25", "50"),
        ("50", "75"),
    ]
    assert len(clips[2].findall("link")) == 0 and clips[2].find("file/media/audio") is None


def test_fcpxml_has_the_rate_of_each_source():
    root = ElementTree.fromstring(EXPORT_FORMATS["fcpxml"].write(mixed(25)))
    clips = list(root.iter("asset-clip"))
    starts = [seconds(clip.get("start")) for clip in clips]
    assert starts == [Fraction(107892 + 30) / RATES["29.97"], 36001, 1]
    assert [(seconds(c.get("offset")), seconds(c.get("duration"))) for c in clips] == [(0, 1), (1, 1), (2, 1)]
    conforming = [clip.find("conform-rate") for clip in clips]
    assert [c if c is None else dict(c.attrib) for c in conforming] == [
        {"scaleEnabled": "0", "srcFrameRate": "29.97"},
        None,
        {"scaleEnabled": "0", "srcFrameRate": "50"},
    ]
    formats = {form.get("id"): seconds(form.get("frameDuration")) for form in root.findall("resources/format")}
    assets = root.findall("resources/asset")
    assert [formats[a.get("format")] for a in assets] == [1 / RATES["29.97"], Fraction(1, 25), Fraction(1, 50)]
    assert [asset.get("hasAudio") for asset in assets] == ["1", "1", None]


def test_sounds_and_pictures_of_a_clip_are_linked():
    root = ElementTree.fromstring(EXPORT_FORMATS["fcp7"].write(mixed()))
    ids = {clip.get("id") for clip in root.iter("clipitem")}
    assert len(ids) == 3 + 2 + 2
    for track, kind in (
        (root.find(".//video/track"), "video"),
        *((t, "audio") for t in root.findall(".//audio/track")),
    ):
        for index, clip in enumerate(track.findall("clipitem"), 1):
            linked = {
                (link.findtext("linkclipref"), link.findtext("mediatype"), link.findtext("clipindex"))
                for link in clip.findall("link")
            }
            assert not linked or (clip.get("id"), kind, str(index)) in linked
            assert {id_ for id_, _, _ in linked} <= ids


def test_a_variable_rate_is_told():
    video = make_video("25", fps=24.87)
    edits = make_edit_list([Moment("a" * 64, "x", 1.0, 2.0)], {"a" * 64: video}, {"a" * 64: PurePosixPath("/x.mp4")})
    assert [source.rate for source in edits.variable_rates] == [25]
    assert "* SOURCE RATE VARIES" in EXPORT_FORMATS["edl"].write(edits)
    for rate in RATES:
        assert not one_rate(rate, "")[0].variable_rates


def test_the_adapters_cannot_write_these_lists_yet():
    """Once one of these fails, that adapter may take the place of a writer of ours."""
    timeline = otio.adapters.read_from_string(EXPORT_FORMATS["otio"].write(mixed()), "otio_json")
    with pytest.raises(ValueError, match="not enough values to unpack"):  # 29.97 is none of its rates
        otio.adapters.write_to_string(timeline, "fcpx_xml")
    written = ElementTree.fromstring(otio.adapters.write_to_string(timeline, "fcp_xml"))
    assert [len(clip) for clip in written.findall(".//audio/track/clipitem")] == [0, 0]  # sound without times
    edits, _ = one_rate("29.97", "01:00:00:00")
    timeline = otio.adapters.read_from_string(EXPORT_FORMATS["otio"].write(edits), "otio_json")
    lines = otio.adapters.write_to_string(timeline, "cmx_3600", rate=25).splitlines()
    [first] = [line for line in lines if line.startswith("001")]
    assert first.split()[2:5] == ["V", "C", "01:00:03:15"]  # no sound, and the source's clock is 3.6 s off


# Texts and files


MOMENT = Moment("a" * 64, TITLE, 1.0, 2.0, 'a "dog" & 猫 </note>', 0.8126, ("seen", "heard"), "what is\nthat?")


def test_why_a_moment_was_chosen_is_in_each_format():
    edits = make_edit_list([MOMENT], {"a" * 64: make_video()}, {"a" * 64: PurePosixPath("/x.mp4")})
    why = ['a "dog" & 猫 </note>', "0.813", "seen, heard", '"what is that?"']
    assert [line[11:] for line in EXPORT_FORMATS["edl"].write(edits).splitlines() if "* COMMENT" in line] == why
    fcp7 = ElementTree.fromstring(EXPORT_FORMATS["fcp7"].write(edits))
    assert fcp7.find(".//mastercomment1").text == " | ".join(why)
    assert ElementTree.fromstring(EXPORT_FORMATS["fcpxml"].write(edits)).find(".//note").text == " | ".join(why)
    timeline = otio.adapters.read_from_string(EXPORT_FORMATS["otio"].write(edits), "otio_json")
    facts = next(iter(timeline.find_clips())).metadata["clipseek"]
    assert (facts["query"], facts["score"], list(facts["reasons"])) == (MOMENT.query, 0.8126, ["seen", "heard"])
    srt = EXPORT_FORMATS["srt"].write(edits).splitlines()
    assert srt[:2] == ["1", "00:00:00,000 --> 00:00:01,000"]
    assert srt[3] == 'a "dog" & 猫 ‹/note›, 0.813, seen, heard, "what is that?"'
    row = EXPORT_FORMATS["csv"].write(edits).splitlines()[1]
    assert row.endswith('"a ""dog"" & 猫 </note>",0.8126,"seen, heard",what is that?,00:00:01:00,00:00:02:00,25')


def test_an_exported_list_can_be_exported_again():
    edits = make_edit_list([MOMENT], {"a" * 64: make_video()}, {"a" * 64: PurePosixPath("/x.mp4")})
    assert read_moments(EXPORT_FORMATS["json"].write(edits), "x.json") == [MOMENT]


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "[1]", "{}", '"ab"', "[{}]", "[[]]", "\xff"),
        '[{"video_id": "", "start_seconds": 1, "end_seconds": 2}]',
        '[{"video_id": "a", "start_seconds": 2, "end_seconds": 1}]',
        '[{"video_id": "a", "start_seconds": -1, "end_seconds": 1}]',
        '[{"video_id": "a", "start_seconds": 1, "end_seconds": NaN}]',
        '[{"video_id": "a", "start_seconds": 1, "end_seconds": 2, "title": 7}]',
    ],
)
def test_what_is_no_list_of_moments_is_refused(text):
    with pytest.raises(InvalidRequest, match=r"'x\.json' is no list of moments"):
        read_moments(text.encode("latin-1"), "x.json")


def test_matches_of_a_search_are_moments():
    found = Match(video_id="a" * 64, title="x", start_seconds=1, end_seconds=2, score=0.7, reasons=["seen"], line="l")
    moment = Moment("a" * 64, "x", 1, 2, "q", 0.7, ("seen",), "l")
    assert Moment.of(found, "q") == moment
    row = {"video_id": "a" * 64, "title": "x", "start_seconds": 1, "end_seconds": 2, "score": 0.7, "line": "l"}
    rows = json.dumps({"matches": [row | {"reasons": ["seen"], "query": "q"}]})
    assert read_moments(rows, "x") == [moment]
    parts = [QueryPart(text="a dog"), QueryPart(text="snow", weight=-1.0), QueryPart(title="dog.jpg", image=b"x")]
    frame = QueryPart(video_id="a" * 64, at_seconds=75.2)
    assert query_text("cat", [*parts, frame]) == "cat + a dog + dog.jpg + aaaaaaaaaaaa@01:15.2"


def test_reels_have_eight_signs_and_differ():
    ids = ["ab" * 32, "ab" * 32 + "c", "=cmd|x", "=CMD|x", "x"]
    sources = [
        make_edit_list([Moment(i, "t", 0, 1)], {i: Video(video_id=i)}, {i: PurePosixPath("/x")}).sources[0] for i in ids
    ]
    reels = name_reels(sources)
    assert len(set(reels.values())) == len(ids)
    assert all(re.fullmatch("[A-Z0-9_]{1,8}", reel) for reel in reels.values())


@pytest.mark.parametrize(
    ("path", "url"),
    [
        (PurePosixPath("/v/a b#1?%.mp4"), "file:///v/a%20b%231%3F%25.mp4"),
        (PurePosixPath("/《长城》.mp4"), "file:///%E3%80%8A%E9%95%BF%E5%9F%8E%E3%80%8B.mp4"),
        (reader_path("D:\\Footage") / "a.mp4", "file:///D:/Footage/a.mp4"),
        (reader_path("\\\\nas\\share") / "a b.mp4", "file://nas/share/a%20b.mp4"),
        (reader_path("/Volumes/Footage") / "a.mp4", "file:///Volumes/Footage/a.mp4"),
    ],
)
def test_paths_are_urls(path, url):
    assert file_url(path) == url


def test_a_video_is_where_the_editor_has_it():
    video = make_video(title="a/b\\c.mp4")
    assert media_path(video) == PurePosixPath("/a_b_c.mp4")
    assert media_path(video, "/srv/films/c.mkv") == PurePosixPath("/srv/films/c.mkv")
    assert media_path(video, "/srv/films/c.mkv", reader_path("D:\\F")) == PureWindowsPath("D:/F/c.mkv")


def test_files_are_found_by_name_and_size(tmp_path: Path):
    for folder, size in (("one", 6), ("two", 7), ("three", 8)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "lake.mp4").write_bytes(b"x" * size)
    (tmp_path / "loop").symlink_to(tmp_path)
    videos = [
        make_video(key="a", title="lake.mp4"),
        make_video(key="b", title="renamed"),
        make_video(key="c", title="no"),
    ]
    found = find_media(tmp_path, videos, {"b" * 64: "/srv/lake.mp4"})
    assert found == dict.fromkeys(("a" * 64, "b" * 64), tmp_path / "two" / "lake.mp4")


def test_no_moments_are_no_list():
    with pytest.raises(InvalidRequest, match="no moments"):
        make_edit_list([], {}, {})


def test_a_moment_beyond_the_end_keeps_a_frame():
    video = make_video("25", duration_seconds=10.0)
    edits = make_edit_list(
        [Moment("a" * 64, "x", 9.9, 12.0), Moment("a" * 64, "x", 30.0, 31.0)],
        {"a" * 64: video},
        {"a" * 64: PurePosixPath("/x.mp4")},
    )
    assert [(edit.start, edit.end) for edit in edits.edits] == [(247, 250), (249, 250)]


# Without the extra


def test_without_opentimelineio_only_otio_is_refused():
    program = """
import sys
sys.modules["opentimelineio"] = None
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, *more: None if name == "opentimelineio" else find(name, *more)
from pathlib import PurePosixPath
from clipseek.api.documents import Video
from clipseek.api.errors import InvalidRequest
from clipseek.exports.edit_list import make_edit_list
from clipseek.exports.formats import EXPORT_FORMATS
from clipseek.exports.moments import Moment
edits = make_edit_list([Moment("a", "t", 0, 1)], {"a": Video(video_id="a")}, {"a": PurePosixPath("/t.mp4")})
for name, form in EXPORT_FORMATS.items():
    try:
        print(name, len(form.write(edits)) > 20)
    except InvalidRequest as error:
        print(name, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=os.environ, timeout=120
    )
    refused, *others = done.stdout.splitlines()
    assert refused.startswith(
        "otio OTIO files need OpenTimelineIO, which is not installed. Install ClipSeek with its extra"
    )
    assert others == [f"{name} True" for name in EXPORT_FORMATS if name != "otio"]
