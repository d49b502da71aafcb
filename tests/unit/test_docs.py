"""The documents are consistent: links work, references match the code, translations match their originals."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from clipseek.cli.main import main
from clipseek.config.declaration import rows_of
from clipseek.config.settings import SETTINGS, Common
from docs import generate, video_kinds
from tests.markdown import CHINESE, README, REFERENCE, ROOT, Document, documents, name_of, translations

SOURCES = ("clipseek", "executors", "frontend", "benchmarks", "docker", "tests", "docs")
each_document = pytest.mark.parametrize("path", documents(), ids=name_of)
each_translation = pytest.mark.parametrize(
    ("path", "translated"), translations(), ids=[name_of(path) for _, path in translations()]
)


@each_document
def test_links_and_images_lead_somewhere(path):
    for link in Document.read(path).links:
        address = urlsplit(link)
        if address.scheme or address.netloc:  # not fetched: tests use no network
            assert address.scheme == "https" and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", address.netloc), link
            continue
        target = (path.parent / address.path).resolve() if address.path else path
        assert target.is_relative_to(ROOT) and target.exists(), f"{name_of(path)} links to {link}, which does not exist"
        if address.fragment:
            assert address.fragment in Document.read(target).anchors, f"{name_of(path)}: no such heading: {link}"


def test_the_documents_that_code_and_documents_name_are_there():
    files = [
        file
        for folder in SOURCES
        for kind in ("py", "md", "json", "yml")
        for file in ROOT.glob(f"{folder}/**/*.{kind}")
    ]
    missing = {
        f"{name_of(file)}: {named}"
        for file in [*files, *ROOT.glob("*.md")]
        for named in re.findall(r"\bdocs/[\w/.-]+\.\w+", file.read_text(encoding="utf-8"))
        if not (ROOT / named).exists()
    }
    assert not missing


@each_document
def test_the_files_that_a_document_names_are_there(path):
    folders = "clipseek|executors|frontend|tests|benchmarks|docker"
    named = re.findall(rf"`((?:{folders})/(?:[\w-]+/)*(?:[\w-]+\.\w+)?)`", "\n".join(Document.read(path).prose))
    assert not [file for file in named if not (ROOT / file).exists()]


def test_the_index_has_a_line_for_every_document():
    listed = {link for link in Document.read(ROOT / "docs" / "README.md").links if not link.startswith("..")}
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert listed == there - {"README.md"}


def test_the_references_are_those_of_the_code():
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{name_of(path)} is old: make docs"
    assert set(generate.pages()) == set(REFERENCE.iterdir())


def test_the_tables_of_settings_are_those_of_the_code():
    for path, text in generate.documents_with_tables().items():
        assert path.read_text(encoding="utf-8") == text, f"{name_of(path)} is old: make docs"


def test_the_reference_has_every_setting_with_its_default():
    assert defaults_in(REFERENCE / "settings.md") == {row.variable: row.shown_default for row in SETTINGS.values()}


def test_the_readme_has_the_common_settings_with_their_defaults():
    common = {row.variable: row.shown_default for row in rows_of(Common).values()}
    assert common.items() <= defaults_in(README).items()


def test_a_marked_table_follows_the_code_and_a_translation_keeps_its_words():
    table = "| 变量 | 默认值 | 含义 |\n|---|---|---|\n| `CLIPSEEK_HOST` | 本机 | 地址 |\n"
    old = f"A\n<!-- settings: clients -->\n{table}<!-- end -->\nB"
    lines = generate.fill_tables(old).splitlines()
    assert [lines[0], lines[1], lines[-2], lines[-1]] == [*old.splitlines()[:2], *old.splitlines()[-2:]]
    assert [line.split("`")[1] for line in lines[4:-2]] == [
        "CLIPSEEK_HOST",
        "CLIPSEEK_TOKEN",
        "CLIPSEEK_LIBRARY",
        "CLIPSEEK_TLS_CA",
    ]
    assert lines[4].startswith("| `CLIPSEEK_HOST` | this machine | The server's address")
    translated = generate.fill_tables(old, is_translation=True).splitlines()
    assert translated[2:5] == ["| 变量 | 默认值 | 含义 |", "|---|---|---|", "| `CLIPSEEK_HOST` | 本机 | 地址 |"]
    assert translated[5:] == lines[5:]


def defaults_in(path: Path) -> dict[str, str]:
    """The settings in the tables of a document, and their defaults."""
    return {row[0]: row[1].strip("`") for row in settings_rows(Document.read(path)) if len(row) > 2}


def settings_rows(document: Document) -> list[list[str]]:
    """The rows of the table of settings, one for each variable."""
    return [[name, *row[1:]] for row in document.tables for name in re.findall(r"`(CLIPSEEK_[\w.]+)`", row[0])]


@each_translation
def test_a_translation_has_the_blocks_of_the_original(path, translated):
    original, chinese = Document.read(path), Document.read(translated)
    assert [block.language for block in chinese.blocks] == [block.language for block in original.blocks]
    for ours, theirs in zip(original.blocks, chinese.blocks, strict=True):
        if ours.language:  # a drawing has words in it
            assert theirs.without_comments() == ours.without_comments(), f"{theirs} is not {ours}"


@each_translation
def test_a_translation_has_the_structure_of_the_original(path, translated):
    original, chinese = Document.read(path), Document.read(translated)
    assert [level for level, _ in chinese.headings] == [level for level, _ in original.headings]
    assert [len(row) for row in chinese.tables] == [len(row) for row in original.tables]
    assert {row[0] for row in settings_rows(chinese)} == {row[0] for row in settings_rows(original)}
    assert [row[1] for row in settings_rows(chinese) if row[1].startswith("`")] == [
        row[1] for row in settings_rows(original) if row[1].startswith("`")
    ]


@each_translation
def test_a_document_and_its_translation_link_to_each_other_at_the_top(path, translated):
    for here, there in ((path, translated), (translated, path)):
        top = here.read_text(encoding="utf-8").split("\n## ")[0]
        links = re.findall(r"\]\(([^)#\s]+)\)", top)
        assert there in [(here.parent / link).resolve() for link in links], (
            f"{name_of(here)} does not link to {name_of(there)}"
        )


@each_translation
def test_a_translation_names_the_same_things_in_code(path, translated):
    """Commands, variables, options and files in the prose are the same in original and translation."""
    kinds = r"clipseek [a-z]+|make [a-z-]+|CLIPSEEK_\w+|--[a-z-]+|(?:\w+/)+[\w.]*"
    texts = [file.read_text(encoding="utf-8").replace("`docs/zh/", "`docs/") for file in (path, translated)]
    named = [set(re.findall(f"`(?:{kinds})", text)) for text in texts]
    assert named[0] == named[1]


@each_document
def test_commands_that_the_prose_names_are_there_with_their_options(path):
    """Commands in blocks are run by tests/flow/test_documented_commands.py."""
    for name, rest in re.findall(r"`clipseek ([a-z]+)([^`]*)`", "\n".join(Document.read(path).prose)):
        assert name in main.commands, f"{name_of(path)}: there is no `clipseek {name}`"
        wanted = set(re.findall(r"--[a-z-]+", rest)) - {"--help"}
        assert wanted <= options_of(main.commands[name]), f"{name_of(path)}: `clipseek {name}{rest}`"


def options_of(command: click.Command) -> set[str]:
    """The options of a command and its subcommands."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {name for option in command.params for name in option.opts}.union(*map(options_of, below))


def test_chinese_documents_have_an_original():
    assert {path.name for path in CHINESE.glob("*.md")} <= {path.name for path in (ROOT / "docs").glob("*.md")}


def test_the_table_of_videos_has_a_row_for_every_kind_that_tests_show():
    page = video_kinds.PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| .+ \| (\d+) of (\d+) right \|$", page, re.MULTILINE)
    assert {kind for kind, *_ in rows} == {kind for kind, _ in video_kinds.list_marks()}
    assert not [kind for kind, right, count in rows if right != count or int(count) == 0]
