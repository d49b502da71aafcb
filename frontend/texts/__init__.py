"""The page's sentences, one JSON file per language, all with the same keys.

A key is named by the page or component that shows it; `KEY.one` is the form for one, `KEY.help` a tip.
`load_texts` reads a language; a `Texts` is called with a key and its values.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

LANGUAGES = {"en": "EN", "zh": "中文"}
DEFAULT = "en"


@dataclass(frozen=True)
class Texts:
    """The page's sentences in one language: `t("search.like", title="cat.mp4", time="0:42")`."""

    language: str
    sentences: Mapping[str, str]

    def __call__(self, key: str, **values: object) -> str:
        return self.sentences[key].format(**values)

    def plural(self, key: str, count: int, **values: object) -> str:
        """The sentence for this count: `KEY.one` for one, else `KEY`."""
        return self(f"{key}.one" if count == 1 else key, count=count, **values)


@cache
def load_texts(language: str) -> Texts:
    """The texts of a language of `LANGUAGES`."""
    file = resources.files(__name__) / f"{language}.json"
    return Texts(language, json.loads(file.read_text(encoding="utf-8")))


def choose_language(requested: str | None, locale: str | None) -> str:
    """The requested language, else the browser's, else English."""
    if requested in LANGUAGES:
        return requested
    language = (locale or "").partition("-")[0].lower()
    return language if language in LANGUAGES else DEFAULT
