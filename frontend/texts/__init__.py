"""What the page says, one JSON file per language beside this module. All have the same keys."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

LANGUAGES = {"en": "EN", "zh": "中文"}
DEFAULT = "en"


@dataclass(frozen=True)
class Texts:
    """The page's sentences in one language: `texts("search.more", count=3)`."""

    language: str
    sentences: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        return self.sentences[key].format(**values)


@cache
def load(language: str) -> Texts:
    """The texts of a language of `LANGUAGES`."""
    file = resources.files(__name__) / f"{language}.json"
    return Texts(language, json.loads(file.read_text(encoding="utf-8")))


def chosen(asked: str | None, locale: str | None) -> str:
    """The language to show: the one asked for, else the browser's, else English."""
    if asked in LANGUAGES:
        return asked
    spoken = (locale or "").partition("-")[0].lower()
    return spoken if spoken in LANGUAGES else DEFAULT
