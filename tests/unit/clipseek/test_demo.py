"""What `clipseek demo` says around its searches."""

from contextlib import nullcontext

import pytest

from clipseek.cli.commands import demo
from clipseek.config.settings import Settings
from tests.markdown import ROOT


def test_a_demo_that_stops_says_what_comes_next(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("clipseek.service.run.serve", lambda _settings, when_ready, _end: when_ready([]))
    monkeypatch.setattr("clipseek.client.Client", nullcontext)
    monkeypatch.setattr(demo, "show", lambda _client, _clips: None)
    demo.run_demo(Settings(home=tmp_path), tmp_path / "clips", stop=True)
    assert capsys.readouterr().err.rstrip().endswith("serve --page")


@pytest.mark.parametrize("text", [known.text for known in demo.KNOWN_ANSWERS])
def test_the_readme_shows_the_searches_of_the_demo(text):
    for name in ("README.md", "README.zh-CN.md"):
        assert f"\n{text} " in (ROOT / name).read_text(encoding="utf-8")
