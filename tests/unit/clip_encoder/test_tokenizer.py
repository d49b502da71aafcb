"""Tokenizers that would give texts wrong vectors without an error, and what a model that wants plain text reads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Words
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from clipseek.api.errors import ModelError, UnknownModel
from clipseek.config.profiles import PROFILES
from executors.clip_encoder.model.folder import read_model_folder
from executors.clip_encoder.model.spec import ModelSpec
from executors.clip_encoder.pytorch.tokenizer import Tokenizer

VOCABULARY = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "a": 4, "cat": 5, "红花": 6, "绿叶": 7}
ENDS = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])


def write_tokenizer(folder: Path, *, marks_ends: bool = True, padding_side: str = "right") -> None:
    words = Words(WordLevel(VOCABULARY, "<unk>"))
    words.pre_tokenizer = Whitespace()
    if marks_ends:
        words.post_processor = ENDS
    words.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "padding_side": padding_side, "unk_token": "<unk>"}
    signs = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | signs))


def spec_with(folder: Path, model_folder: Path, padding: int | None = None, **text: object) -> ModelSpec:
    """A model with the tokenizer in `folder`; with `padding` its text half is one of Hugging Face."""
    spec = read_model_folder(model_folder, "tiny", "test")
    text = {"context_length": 8, "hf_tokenizer_name": "."} | text
    if padding is not None:
        (folder / "config.json").write_text(json.dumps({"pad_token_id": padding}))
        text["hf_model_name"] = str(folder)
    return replace(spec, model_cfg={**spec.model_cfg, "text_cfg": text}, tokenizer_folder=folder)


def test_a_tokenizer_that_fits_is_taken(tmp_path, model_folder):
    write_tokenizer(tmp_path)
    assert Tokenizer(spec_with(tmp_path, model_folder, vocab_size=8)).encode(["a cat"]).tolist() == [
        [1, 4, 5, 2, 0, 0, 0, 0]
    ]
    assert Tokenizer(spec_with(tmp_path, model_folder, padding=0)).encode(["a cat"]).tolist() == [[1, 4, 5, 2]]


@pytest.mark.parametrize(
    ("written", "text", "padding", "fault"),
    [
        ({"padding_side": "left"}, {}, None, "pads on the left"),
        ({"padding_side": "left"}, {}, 0, "pads on the left"),
        ({}, {"vocab_size": 7}, None, "knows 8 tokens, but the text half 7"),
        ({}, {}, 1, "pads with token 0, but the text half ignores token 1"),
        ({"marks_ends": False}, {}, 0, "does not mark the ends"),
    ],
)
def test_a_tokenizer_that_would_give_wrong_vectors_is_refused(tmp_path, model_folder, written, text, padding, fault):
    write_tokenizer(tmp_path, **written)
    with pytest.raises(ModelError, match=fault):
        Tokenizer(spec_with(tmp_path, model_folder, padding, **text))


def test_a_model_that_wants_plain_text_gets_no_punctuation_of_any_script(tmp_path, model_folder):
    write_tokenizer(tmp_path)
    plain = Tokenizer(spec_with(tmp_path, model_folder, tokenizer_kwargs={"clean": "canonicalize"}))
    for text in ("红花，绿叶。", "「红花」！绿叶？", "红花、绿叶…", "红花, 绿叶."):
        assert plain.encode([text]).tolist() == [[1, 6, 7, 2, 0, 0, 0, 0]], text
        assert plain.count(text) == 4
    assert Tokenizer(spec_with(tmp_path, model_folder)).encode(["红花，绿叶"]).tolist()[0][:5] == [1, 6, 3, 7, 2]


def test_a_folder_that_does_not_say_how_pictures_were_prepared_is_refused(tmp_path, model_folder):
    config = json.loads((model_folder / "open_clip_config.json").read_text())
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config["model_cfg"]}))
    with pytest.raises(UnknownModel, match="no preprocess_cfg"):
        read_model_folder(tmp_path, "tiny", "test")


def test_the_documents_list_the_profiles_as_they_are():
    docs = Path(__file__).parents[3] / "docs"
    for text in ((docs / "models.md").read_text(), (docs / "zh" / "models.md").read_text()):
        for name, profile in PROFILES.items():
            [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
            assert f"{profile.architecture}/{profile.tag}" in row and f"{profile.megabytes} MB" in row
