"""Subtitle files beside videos: any encoding, any of four formats, the language in the name; broken ones are named."""

import pytest

pytest.importorskip("pysubs2", reason="needs the extra 'words'")

from executors.video_loader.media.server_folders import ServerFolders
from executors.video_loader.words import files
from executors.video_loader.words.files import UnreadableSubtitles, decode, language_in_name, read_file

SAMPLES = {
    "zh": "我们今天来学习光合作用，植物把阳光变成糖。\n这是一个很重要的过程，没有它就没有我们。",
    "zh-tw": "我們今天來學習光合作用，植物把陽光變成糖。\n這是一個很重要的過程，沒有它就沒有我們。",
    "ja": "これは日本語の字幕です。今日はいい天気ですね。\nありがとうございます。",
    "ko": "이것은 한국어 자막입니다. 오늘은 날씨가 좋네요.",
    "ru": "Это субтитры на русском языке. Сегодня хорошая погода.",
    "fr": "Voilà des sous-titres en français : déjà l’été, où êtes-vous ?",
    "de": "Schöne Grüße aus München, wir müssen über Straßen reden.",
    "ar": "هذه ترجمة باللغة العربية اليوم",
}


def srt_of(text: str) -> str:
    rows = text.split("\n")
    return "\n".join(f"{n}\n00:00:{n:02d},000 --> 00:00:{n:02d},900\n{row}\n" for n, row in enumerate(rows, 1))


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("zh", "gb18030"), ("zh-tw", "big5"), ("ja", "shift_jis"), ("ja", "euc_jp"), ("ko", "cp949"), ("ru", "cp1251"),
        ("ru", "koi8_r"), ("fr", "cp1252"), ("de", "latin-1"), ("ar", "cp1256"), ("zh", "utf-16"), ("zh", "utf-16-le"),
        ("zh", "utf-16-be"), ("ja", "utf-8-sig"), ("fr", "utf-8"), ("zh", "utf-32"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_the_encoding_is_found(language, encoding, named):
    text = srt_of(SAMPLES[language])
    if encoding == "latin-1":
        text = text.replace("’", "'")
    data = text.encode(encoding)
    assert decode(data, language[:2] if named else "") == text


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("talk.srt", ""), ("talk.en.srt", "en"), ("talk.zh-Hans.srt", "zh"), ("talk.eng.forced.srt", "en"),
        ("talk.chs.ass", "zh"), ("Talk.FR.vtt", "fr"), ("talk.简体.srt", "zh"), ("talk.commentary.srt", ""),
    ],
)  # fmt: skip
def test_the_language_is_in_the_name(tmp_path, name, language):
    assert language_in_name(tmp_path / name, "talk") == language


def test_the_formats_give_the_same_lines(tmp_path):
    import pysubs2

    subtitles = pysubs2.SSAFile()
    subtitles.append(pysubs2.SSAEvent(start=1000, end=2000, text=r"{\i1}Hello{\i0}\Nthere"))
    subtitles.append(pysubs2.SSAEvent(start=3000, end=4000, text=r"שלום עולם"))
    for suffix in ("srt", "vtt", "ass", "ssa"):
        path = tmp_path / f"talk.{suffix}"
        subtitles.save(str(path))
        assert [(x.start_seconds, x.end_seconds, x.text) for x in read_file(path)] == [
            (1.0, 2.0, "Hello\nthere"),
            (3.0, 4.0, "שלום עולם"),
        ]


def test_drawings_and_comments_are_no_lines(tmp_path):
    path = tmp_path / "talk.ass"
    path.write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}\n"
        "Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,a note\n"
        "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,Said\n",
        encoding="utf-8",
    )
    assert [line.text for line in read_file(path)] == ["Said"]


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"no subtitles at all", bytes(range(256)) * 20])
@pytest.mark.parametrize("suffix", ["srt", "vtt", "ass"])
def test_broken_files_are_named(tmp_path, suffix, content):
    path = tmp_path / f"talk.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UnreadableSubtitles, match=r"'talk\.(srt|vtt|ass)'"):
        read_file(path)


def test_huge_and_missing_files_are_named(tmp_path, monkeypatch):
    path = tmp_path / "talk.srt"
    with pytest.raises(UnreadableSubtitles, match="No such file"):
        read_file(path)
    path.write_text(srt_of("hello"), encoding="utf-8")
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    with pytest.raises(UnreadableSubtitles, match="more than"):
        read_file(path)


def test_files_beside_a_video_are_found_and_links_that_lead_out_are_not(tmp_path):
    outside = tmp_path / "outside.srt"
    outside.write_text("secret", encoding="utf-8")
    root = tmp_path / "videos"
    root.mkdir()
    for name in ("talk.mp4", "talk.srt", "talk.en.vtt", "Talk.zh.ass", "talks.srt", "other.srt", "talk.txt"):
        (root / name).write_text("x", encoding="utf-8")
    (root / "talk.de.srt").symlink_to(outside)
    (root / "talk.fr.srt").mkdir()
    found = ServerFolders((root,)).list_subtitles(root / "talk.mp4")
    assert sorted(path.name for path in found) == ["Talk.zh.ass", "talk.en.vtt", "talk.srt"]
    assert ServerFolders((root,)).list_subtitles(tmp_path / "gone" / "a.mp4") == []
