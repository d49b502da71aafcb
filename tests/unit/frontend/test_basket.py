"""The basket's order, and the edit lists that other programs read."""

import csv
import io
import json
import os
import zipfile
from dataclasses import replace

import pytest

from clipseek.api.documents import Video
from clipseek.exports.formats import EXPORT_FORMATS
from clipseek.exports.moments import read_moments
from frontend.logic.basket import Basket, BasketItem
from frontend.media.exports import edit_list, exportable_items, zip_clips
from frontend.media.page_folder import BasketFolder

A = BasketItem("a" * 64, "=cmd|' /C'!A0.mp4", 1.0, 3.5)
B = BasketItem("b" * 64, "猫; x.mp4", 3661.04, 3662.04)
C = BasketItem("c" * 64, "c.mp4", 0.2, 0.6)


VIDEOS = {item.video_id: Video(video_id=item.video_id, title=item.title, duration_seconds=4000.0) for item in (A, B, C)}


def export(items, form, videos=VIDEOS, **options):
    return EXPORT_FORMATS[form].write(edit_list(items, videos, **options))


def test_order():
    basket = Basket().add(A).add(B).add(C).add(A)
    assert basket.items == (A, B, C) and basket.length_seconds == pytest.approx(3.9)
    assert basket.move(C, -1).items == (A, C, B)
    assert basket.move(A, -1).items == (A, B, C) and basket.move(A, 9).items == (B, C, A)
    assert basket.remove(B).items == (A, C)
    assert basket.remove(B).move(B, 1).items == (A, C)  # removed in another tab


def test_keys_tell_clips_apart_that_are_shown_alike():
    alike = [B, replace(B, start_seconds=3661.041), replace(B, title="another title"), replace(B, video_id="c" * 64)]
    assert len({item.key for item in alike}) == 4 and replace(B).key == B.key


def test_padding_stays_inside_the_video():
    assert C.pad(1.0, 1.2) == BasketItem("c" * 64, "c.mp4", 0.0, 1.2)
    assert A.pad(0.5, 60.0) == BasketItem("a" * 64, A.title, 0.5, 4.0)


def test_clips_of_deleted_videos_are_not_exported():
    videos = {C.video_id: Video(duration_seconds=1.2), B.video_id: Video(duration_seconds=4000.0)}
    assert exportable_items((A, B, C), videos, 1.0) == [B.pad(1.0, 4000.0), C.pad(1.0, 1.2)]


def test_csv_runs_nothing_in_a_spreadsheet():
    rows = list(csv.DictReader(io.StringIO(export([A, B], "csv"))))
    assert rows[0]["title"] == "'" + A.title and rows[1]["title"] == B.title
    assert (rows[1]["start_seconds"], rows[1]["end_seconds"], rows[1]["length_seconds"]) == (
        "3661.04",
        "3662.04",
        "1.0",
    )


def test_json():
    first = json.loads(export([A, B], "json"))[0]
    assert first == {
        "place": 1,
        "video_id": "a" * 64,
        "title": A.title,
        "start_seconds": 1.0,
        "end_seconds": 3.5,
        "length_seconds": 2.5,
        "query": "",
        "score": None,
        "reasons": [],
        "line": "",
        "source_in": "00:00:01:00",
        "source_out": "00:00:03:13",
        "source_rate": "25",
    }


def test_edl_time_codes_follow_one_another():
    lines = export(
        [A, B], "edl", VIDEOS | {A.video_id: Video(video_id=A.video_id, title=A.title, fps=24.97)}
    ).splitlines()
    assert lines[3] == "001  AAAAAAAA V     C        00:00:01:00 00:00:03:13 00:00:00:00 00:00:02:13"
    assert lines[4] == f"* FROM CLIP NAME: {A.title}"
    assert lines[8] == "002  BBBBBBBB V     C        01:01:01:01 01:01:02:01 00:00:02:13 00:00:03:13"


def test_a_list_names_files_where_the_visitor_or_the_server_has_them():
    def files(**options):
        return [line[15:] for line in export([B, C], "edl", **options).splitlines() if line.startswith("* SOURCE FILE")]

    assert files() == ["/猫; x.mp4", "/c.mp4"]
    on_server = {B.video_id: "/srv/b.mov", C.video_id: ""}
    assert files(server_path=on_server.get) == ["/srv/b.mov", "/c.mp4"]
    assert files(server_path=on_server.get, media_root="D:\\Films") == ["D:\\Films\\b.mov", "D:\\Films\\c.mp4"]


def test_a_basket_keeps_why_its_clips_were_chosen_and_tells_them_apart_by_their_times(tmp_path):
    chosen = replace(B, query="a cat", score=0.75, reasons=("heard",), line="meow")
    assert chosen == B and chosen.key == B.key
    baskets = BasketFolder(tmp_path)
    baskets.write("me", Basket((chosen,)))
    [moment] = read_moments(export(baskets.read("me").items, "json"), "x")
    assert (moment.query, moment.score, moment.reasons, moment.line) == ("a cat", 0.75, ("heard",), "meow")


def test_srt_times_are_those_of_the_joined_video():
    assert export([A, B], "srt") == (
        f"1\n00:00:00,000 --> 00:00:02,500\n{A.title} [00:00:01]\n\n"
        "2\n00:00:02,500 --> 00:00:03,500\n猫; x.mp4 [01:01:01]\n"
    )


def test_a_zip_holds_the_clips_in_order(tmp_path):
    class Clips:
        def path(self, key):
            path = tmp_path / f"{key.video_id[0]}.{'mkv' if key.video_id[0] == 'b' else 'mp4'}"
            path.write_bytes(f"{key.start_seconds} {key.mode}".encode())
            return path

    with zipfile.ZipFile(io.BytesIO(zip_clips([B, C], Clips(), "copy"))) as packed:
        assert packed.namelist() == ["01 猫; x 3661.0-3662.0.mkv", "02 c 0.2-0.6.mp4"]
        assert packed.read("02 c 0.2-0.6.mp4") == b"0.2 copy"


def test_a_clip_is_replaced_in_its_place():
    basket = Basket().add(A).add(B)
    assert basket.replace(A, C).items == (C, B)
    assert basket.replace(A, A).items == (A, B) and basket.replace(A, B).items == (B,)


def test_baskets_outlive_the_process_and_the_oldest_are_deleted_first(tmp_path):
    mine = Basket().add(B).add(A)
    for day, visitor in enumerate(("first", "second", "first", "third")):
        BasketFolder(tmp_path, max_files=2, max_days=1e6).write(visitor, mine)
        os.utime(tmp_path / f"{visitor}.json", (day, day))
    baskets = BasketFolder(tmp_path)
    assert [baskets.read(visitor) for visitor in ("first", "second", "third")] == [mine, Basket(), mine]
    baskets.write("new", mine)  # the others are older than a month
    assert [file.name for file in tmp_path.iterdir()] == ["new.json"]
    baskets.write("new", Basket())
    assert list(tmp_path.iterdir()) == []
