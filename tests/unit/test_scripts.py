"""Languages by script, and by the codes and names that files have."""

import pytest

from executors.machine.scripts import guess_language, read_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天天气很好", "zh"),
        ("今日はいい天気ですね", "ja"),
        ("오늘 날씨가 좋네요", "ko"),
        ("Привет, мир", "ru"),
        ("مرحبا بالعالم", "ar"),
        ("שלום עולם", "he"),
        ("Hello world", ""),
        ("Gradient 梯度", ""),
        ("123 !?", ""),
        ("", ""),
    ],
)
def test_the_script_tells_the_language(text, language):
    assert guess_language(text) == language


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("eng", "en"), ("en-US", "en"), ("zh-Hans", "zh"), ("chi", "zh"), ("zho", "zh"), ("CHS", "zh"), ("yue", "zh"),
        ("简体", "zh"), ("jpn", "ja"), ("German", "de"), ("und", ""), ("", ""), ("forced", ""), ("xx", ""),
    ],
)  # fmt: skip
def test_codes_and_names_of_languages_are_read(code, language):
    assert read_language(code) == language
