"""Titles from outside are shown as text and make safe file names."""

import pytest

from clipseek.client.download import clip_file_name
from frontend.logic.safe_text import escape_html, escape_markdown, shorten


def test_html_and_markdown_are_text():
    assert escape_html("""<b>"x"</b> & 'y'""") == "&lt;b&gt;&quot;x&quot;&lt;/b&gt; &amp; &#x27;y&#x27;"
    assert escape_markdown("**b** [x](y) $m$ 猫.mp4") == r"\*\*b\*\* \[x\]\(y\) \$m\$ 猫\.mp4"
    assert escape_markdown(":smile:") == "\\:\u2060smile\\:" and escape_markdown("12:30") == "12\\:\u206030"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("holiday.mp4", "holiday 1.0-2.5.mp4"),
        ("<b>x</b>.mp4", "_b_x__b_ 1.0-2.5.mp4"),
        ("a; rm -rf.mp4", "a; rm -rf 1.0-2.5.mp4"),
        ("../../etc/passwd", "_.._etc_passwd 1.0-2.5.mp4"),
        ("北京.mkv", "北京 1.0-2.5.mp4"),
        ("...", "clip 1.0-2.5.mp4"),
        ("x" * 300, "x" * 180 + " 1.0-2.5.mp4"),
        ("x" + "猫" * 300, "x" + "猫" * 59 + " 1.0-2.5.mp4"),
    ],
)
def test_file_names_of_clips(title, name):
    assert clip_file_name(title, 1.0, 2.5) == name


def test_long_titles_lose_their_middle():
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert len(shorten("x" * 300, 60)) == 60
