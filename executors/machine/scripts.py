"""Guesses the language of a text by its script, and reads the codes by which files name languages."""

import unicodedata
from collections import Counter

# Languages that can be told by their script alone, by how the Unicode names of their letters begin. Japanese and Korean
# also write Chinese signs, so their own letters decide first.
_SCRIPTS = (
    ("HIRAGANA", "ja"),
    ("KATAKANA", "ja"),
    ("HANGUL", "ko"),
    ("CJK", "zh"),
    ("CYRILLIC", "ru"),
    ("ARABIC", "ar"),
    ("HEBREW", "he"),
    ("GREEK", "el"),
    ("THAI", "th"),
    ("DEVANAGARI", "hi"),
)
SCRIPT_LANGUAGES = frozenset(language for _, language in _SCRIPTS)
_OWN = 0.1  # share of letters that decides for Japanese and Korean
_MOST = 0.5
_LOOKED_AT = 2000  # characters

# ISO 639-2 codes, which files hold, with the two-letter codes. Languages beyond these have no two-letter code here.
_PAIRS = """
eng:en chi:zh zho:zh cmn:zh yue:zh jpn:ja kor:ko fre:fr fra:fr ger:de deu:de spa:es ita:it por:pt rus:ru ara:ar nld:nl
dut:nl pol:pl tur:tr tha:th vie:vi ind:id may:ms msa:ms hin:hi heb:he gre:el ell:el swe:sv dan:da nor:no nob:no fin:fi
cze:cs ces:cs hun:hu rum:ro ron:ro ukr:uk bul:bg hrv:hr srp:sr slv:sl slo:sk slk:sk est:et lav:lv lit:lt per:fa fas:fa
urd:ur ben:bn tam:ta tel:te cat:ca baq:eu eus:eu glg:gl ice:is isl:is gle:ga wel:cy cym:cy fil:tl tgl:tl swa:sw mal:ml
mar:mr kan:kn guj:gu pan:pa kat:ka geo:ka arm:hy hye:hy aze:az kaz:kk uzb:uz mon:mn mac:mk mkd:mk alb:sq sqi:sq bel:be
"""
_THREE = dict(pair.split(":") for pair in _PAIRS.split())
_TWO = frozenset(_THREE.values())
_NAME_PAIRS = """
english:en chinese:zh chs:zh cht:zh sc:zh tc:zh gb:zh big5:zh cn:zh 简体:zh 繁體:zh 简中:zh 繁中:zh 中文:zh japanese:ja
jp:ja korean:ko kr:ko french:fr german:de spanish:es italian:it portuguese:pt russian:ru arabic:ar
"""
_NAMES = dict(pair.split(":") for pair in _NAME_PAIRS.split())


def read_language(code: str) -> str:
    """The two-letter code of a language that a file names, such as "eng", "zh-Hans" or "chs"; "" if it is unknown."""
    plain = code.strip().lower()
    first = plain.replace("_", "-").partition("-")[0]
    if first in _TWO:
        return first
    return _THREE.get(first) or _NAMES.get(first) or ""


def guess_language(text: str) -> str:
    """The language that most of a text's letters belong to; "" where they leave it open, as Latin ones do."""
    counts: Counter[str] = Counter()
    for char in text[:_LOOKED_AT]:
        if char.isalpha():
            name = unicodedata.name(char, "")
            counts[next((language for start, language in _SCRIPTS if name.startswith(start)), "")] += 1
    total = sum(counts.values())
    for language in ("ja", "ko"):
        if total and counts[language] >= _OWN * total:
            return language
    language, count = counts.most_common(1)[0] if counts else ("", 0)
    return language if count >= _MOST * total else ""
