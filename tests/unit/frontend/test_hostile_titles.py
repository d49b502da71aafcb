"""Titles and ids from elsewhere in each list that other programs read: they stay one cell, one line, one text."""

import csv
import io
import json
import re
import unicodedata
import zipfile
from xml.etree import ElementTree

import opentimelineio as otio
import pytest

from clipseek.api.documents import Video
from clipseek.exports.formats import EXPORT_FORMATS as FORMATS
from frontend.logic.basket import BasketItem
from frontend.media.exports import edit_list, zip_clips

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\u202e=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
    "'=1",
    "\x00=1",
)
ELSEWHERE = ("a;=1", "a\t=1", "a; +1", "a;\t@x")  # where a spreadsheet splits cells at ; or tabs
LINES = ("a\nb", "a\r\nb", "a\rb", "a\x0bb", "a\x0cb", "a\x85b", "a\u2028b", "a\u2029b", "a\x1eb", "a\n\nb", "\n", "")
SIGNS = (
    "\x1b[31mred",
    "\x9b31mred",
    "\x00nul",
    "\x1aend",
    "\x7f",
    "txt\u202e4pm.exe",
    "\u2066x",
    "\ufeffx",
    "\udcff",
    "\ud800",
)
SUBTITLES = (
    "a\n\n2\n00:00:01,000 --> 00:00:02,000\nforged",
    "00:00:01,000 --> 00:00:02,000",
    "<font color=red>x</font>",
    "<script>x</script>",
    "{\\an8}x",
    "2",
    "--> x",
)
LISTS = (
    "a\n002  BBBBBBBB V     C        00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00",
    "a\r* FROM CLIP NAME: forged",
    "a\x0bM2   AAAAAAAA  050.0  00:00:00:00",
    '","forged","',
    'x"\n"1","y"',
    '"}, {"place": 9',
    "\\",
)
PLAIN = ("猫; x.mp4", "a, b - c + d = e @ f", 'she said "go"', "🏳️\u200d🌈.mp4", "می\u200cخواهم", "x" * 1000, "a b")
TITLES = (*FORMULAS, *ELSEWHERE, *LINES, *SIGNS, *SUBTITLES, *LISTS, *PLAIN)


def items(title, video_id="a" * 64):
    return [BasketItem(video_id, title, 1.0, 3.5), BasketItem("b" * 64, "next", 2.0, 3.0)]


def export(clips, form):
    videos = {clip.video_id: Video(video_id=clip.video_id, title=clip.title) for clip in clips}
    return FORMATS[form].write(edit_list(clips, videos))


def is_plain(text):
    """Whether a text shows what it holds: no control signs, no change of direction, no halves of characters."""
    joiners = {"\u200c", "\u200d"}
    return all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} or c in joiners for c in text)


@pytest.mark.parametrize("title", TITLES, ids=ascii)
@pytest.mark.parametrize("form", FORMATS)
def test_no_list_holds_control_signs_besides_its_own_line_ends(form, title):
    text = export(items(title), form)
    assert text.encode()
    for line in text.replace("\r\n", "\n").split("\n"):
        assert is_plain(line), ascii(line)


@pytest.mark.parametrize("title", TITLES, ids=ascii)
def test_csv_has_a_row_for_each_clip_and_no_formula(title):
    text = export(items(title), "csv")
    assert len(text.splitlines()) == 3
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["start_seconds"], second["title"], second["start_seconds"]) == ("1.0", "next", "2.0")
    for cell in re.split("[;\t]", first["title"]):
        assert cell.strip()[:1] not in tuple("=+-@＝＋－＠"), cell
    if title in PLAIN:
        assert first["title"] == title


def test_ids_are_guarded_as_titles_are():
    lists = {form: export(items("a", '=cmd|"/C calc"!A0\n\x1b--> <b>'), form) for form in FORMATS}
    assert all(is_plain(line) for text in lists.values() for line in text.splitlines())
    assert next(csv.DictReader(io.StringIO(lists["csv"])))["video_id"] == '\'=cmd|"/C calc"!A0  --> <b>'
    assert lists["edl"].splitlines()[3].split()[:3] == ["001", "_CMD___C", "V"]


@pytest.mark.parametrize("title", TITLES, ids=ascii)
def test_json_gives_back_the_title(title):
    first, second = json.loads(export(items(title), "json"))
    assert first["title"] == title and second["title"] == "next"


@pytest.mark.parametrize("title", TITLES, ids=ascii)
def test_srt_has_a_block_for_each_clip_and_no_markup(title):
    blocks = export(items(title), "srt").strip().split("\n\n")
    assert len(blocks) == 2
    number, times, text = blocks[0].split("\n")
    assert (number, times) == ("1", "00:00:00,000 --> 00:00:02,500")
    assert text.endswith("[00:00:01]") and "-->" not in text and not set("<>{}") & set(text)
    if title in PLAIN:
        assert text == f"{title} [00:00:01]"


@pytest.mark.parametrize("title", TITLES, ids=ascii)
def test_edl_has_an_event_and_a_comment_for_each_clip(title):
    lines = export(items(title), "edl").split("\n")
    assert [line.split()[0] if line else "" for line in lines] == [
        *("TITLE:", "FCM:", "", "001", "*", "*", "", "002", "*", "*", "")
    ]
    assert lines[4].startswith("* FROM CLIP NAME: ") and lines[8] == "* FROM CLIP NAME: next"
    assert lines[5].startswith("* SOURCE FILE: /") and lines[9] == "* SOURCE FILE: /next"
    if title in PLAIN:
        assert lines[4] == f"* FROM CLIP NAME: {title}"


@pytest.mark.parametrize("title", TITLES, ids=ascii)
@pytest.mark.parametrize("form", ["fcp7", "fcpxml"])
def test_xml_can_be_read_and_has_a_clip_for_each(form, title):
    root = ElementTree.fromstring(export(items(title), form))
    names = [clip.get("name") or clip.findtext("name") for tag in ("clipitem", "asset-clip") for clip in root.iter(tag)]
    assert len(names) == 2 and names[1] == "next"
    if title in PLAIN:
        assert names[0] == title


@pytest.mark.parametrize("title", TITLES, ids=ascii)
def test_otio_gives_back_the_names(title):
    timeline = otio.adapters.read_from_string(export(items(title), "otio"), "otio_json")
    names = [clip.name for clip in timeline.find_clips()]
    assert len(names) == 2 and names[1] == "next" and is_plain(names[0])
    if title in PLAIN:
        assert names[0] == title


@pytest.mark.parametrize("title", TITLES, ids=ascii)
def test_a_zip_names_its_files_in_plain_text_of_one_folder(title, tmp_path):
    class Clips:
        def path(self, key):
            (tmp_path / "clip.mp4").touch()
            return tmp_path / "clip.mp4"

    with zipfile.ZipFile(io.BytesIO(zip_clips(items(title), Clips(), "exact"))) as packed:
        first, second = packed.namelist()
    assert second == "02 next 2.0-3.0.mp4" and first.startswith("01 ") and first.endswith(" 1.0-3.5.mp4")
    assert is_plain(first) and not set('<>:"/\\|?*') & set(first)
