"""One word for one thing, in plain English: identifiers, messages, help, the page's texts and the documents.

docs/concepts.md has the words. A failure names the place and says what to write instead.
"""

import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from clipseek.cli.main import main
from tests.markdown import CHINESE, CHINESE_README, ROOT, Document, documents, name_of

SOURCES = sorted(path for folder in ("clipseek", "executors", "frontend") for path in (ROOT / folder).rglob("*.py"))
GLOSSARY = (
    *("video", "library", "store", "frame", "keyframe", "cut", "shot", "span", "embedding", "query", "part", "score"),
    *("cut-off", "score curve", "segment", "match", "moment", "clip", "calibrate", "metrics", "measures"),
)

# Words that stand for a word of the glossary, and that word.
OTHER_WORDS = {"film": "video", "films": "videos", "movie": "video", "movies": "videos", "snippet": "clip"}
CHINESE_WORDS = {"影片": "视频", "电影": "视频"}
# On disk since 0.1, earlier names of settings, and a technical term.
ALLOWED = re.compile(
    r"\.film\b|TABLE films|films_of\w*|'films'|FILM_|_FILM|silent film|:material/movie:", re.IGNORECASE
)

# Turns that version 0.1 used, and what a reader of today expects.
ARCHAIC = {
    "anew": "again",
    "are to be": "must be",
    "as ever": "as before",
    "at leisure": "(leave it out)",
    "for ever": "forever",
    "for want of": "without",
    "goes on where": "continues where",
    "gone on with": "continued",
    "in their turns": "one after the other",
    "is to be": "must be",
    "it is told": "it gets",
    "lest": "so that ... not",
    "not to be had": "not available",
    "of its own accord": "by itself",
    "put up with": "allowed",
    "take along": "take",
    "taken along": "kept",
    "takes along": "takes",
    "to be had": "available",
    "upon which": "then",
    "where it lies": "in place",
    "whoever": "anyone who",
    "withheld": "not shown",
}


def words_of(identifier: str) -> set[str]:
    """The words of a snake_case or CamelCase identifier, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", identifier)}


def tokens_of(path: Path) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline))


def problems_in(text: str) -> Iterator[str]:
    """Each word and turn of a text that has a better one. What is in backticks or braces is a name, and stays."""
    text = re.sub(r"\s+", " ", ALLOWED.sub("", re.sub(r"`[^`]*`|\{[^}]*\}", "``", text)))
    for wrong, right in (OTHER_WORDS | ARCHAIC).items():
        for found in re.finditer(rf"\b{wrong}\b", text, re.IGNORECASE):
            around = text[max(0, found.start() - 30) : found.end() + 30]
            yield f"'{wrong}' -> '{right}' in '{around}'"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_identifiers_use_the_words_of_the_glossary(path):
    wrong = {
        f"{token.string}, line {token.start[0]}: say {OTHER_WORDS[word]}"
        for token in tokens_of(path)
        if token.type == tokenize.NAME and not ALLOWED.search(token.string)
        for word in words_of(token.string) & OTHER_WORDS.keys()
    }
    assert not wrong


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_messages_docstrings_and_comments_are_plain(path):
    lines = [
        f"line {token.start[0]}: {problem}"
        for token in tokens_of(path)
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string)
        for problem in problems_in(token.string)
    ]
    assert not lines


def helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Every command with what its --help prints."""
    yield name, command.get_help(click.Context(command, info_name=name, **main.context_settings))
    if isinstance(command, click.Group):
        for below, sub in command.commands.items():
            yield from helps(sub, f"{name} {below}")


@pytest.mark.parametrize(("name", "text"), [pytest.param(*pair, id=pair[0]) for pair in helps(main, "clipseek")])
def test_the_help_of_every_command_is_plain(name, text):
    assert not list(problems_in(text)), name


def test_the_texts_of_the_page_are_plain():
    texts = json.loads((ROOT / "frontend" / "texts" / "en.json").read_text(encoding="utf-8"))
    assert not {key: problems for key, text in texts.items() if (problems := list(problems_in(json.dumps(text))))}


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_documents_are_plain(path):
    document = Document.read(path)
    # References show help in blocks of text; their Python blocks are source, which is checked as such.
    helps = [block.text for block in document.blocks if block.language == "text"]
    text = "\n".join([*document.prose, *helps])
    if path.name == "CHANGELOG.md":
        text = text.partition("## [0.1.0]")[0]  # what was said then stays
    assert not list(problems_in(text))


def test_chinese_texts_use_one_word_for_a_video():
    files = [CHINESE_README, *CHINESE.glob("*.md"), ROOT / "frontend" / "texts" / "zh.json"]
    wrong = [
        f"{name_of(file)}, line {number}: say {right}"
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        for word, right in CHINESE_WORDS.items()
        if word in line
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ["docs", "docs/zh"])
def test_the_glossary_explains_every_word(folder):
    rows = [row[0] for row in Document.read(ROOT / folder / "concepts.md").tables]
    explained = {word for row in rows for word in re.findall(r"[a-z]+(?:[- ][a-z]+)?", row.lower())}
    assert set(GLOSSARY) <= explained
