"""Drops what a recogniser invents where nobody speaks: phrases it learnt from subtitles, and endless repeats."""

import re
from collections import Counter
from dataclasses import dataclass

# Measured on silence, music, noise and the sounds of real videos without speech: docs/words.md.
_LEAST_LOGPROB = -1.1
_DOUBTFUL_LOGPROB, _DOUBTFUL_SILENCE = -0.7, 0.6
_MOST_COMPRESSION = 2.4  # of the text: more is a repeat
_LEAST_PROBABILITY = 0.35
_MOST_CHARACTERS_A_SECOND = 45.0  # the fastest speakers stay below 30
_PHANTOM_LOGPROB, _PHANTOM_PROBABILITY = -0.35, 0.8
_MOST_REPEATS = 4
_LONGEST_REPEATED = 6  # words
_SIGNS = re.compile(r"[\W_]+")
# What Whisper writes where it hears nothing: it was trained on subtitles, which say this over music and silence.
_PHANTOMS = frozenset(
    """
    you|youyou|thankyou|thanks|thankyouverymuch|thankyouforwatching|thanksforwatching|thankyousomuch|bye|byebye|so|oh|uh|
    thankyouforwatchingthisvideo|thanksforwatchingthisvideo|pleasesubscribe|pleasesubscribetomychannel|subscribe|okay|
    pleasesubscribetothechannel|seeyounexttime|seeyouinthenextvideo|illseeyouinthenextvideo|music|applause|laughter|
    subtitlesbytheamaraorgcommunity|hmm|mm|um|ah|the|i|
    谢谢|謝謝|谢谢观看|謝謝觀看|谢谢大家|謝謝大家|请不吝点赞|谢谢收看|謝謝收看|感谢观看|感謝觀看|拜拜|嗯|啊|哦|音乐|音樂|
    ご視聴ありがとうございました|시청해주셔서감사합니다|продолжениеследует|sousTitresréalisésparalacommunautédamaraorg|
    untertitelderamaraorgcommunity|untertitelimauftragdeszdffürfunk
    """.replace("\n", "")
    .replace(" ", "")
    .lower()
    .split("|")
)
_PHANTOM_PARTS = re.compile(
    r"字幕(by|由|志愿者|志願者|提供|製作|制作)|请不吝点赞|請不吝點讚|明镜与点点|明鏡與點點|订阅转发打赏|訂閱轉發打賞|"
    r"amara\.?org|subtitles? by|sous-titr|untertitel(ung)? (der|im|von|aufgrund)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Evidence:
    """How sure the recogniser is of a passage: see Whisper's paper, section 4.5.

    `seconds`: of voice in the passage.
    """

    logprob: float
    no_speech: float
    compression: float
    probability: float
    seconds: float


def is_invented(text: str, evidence: Evidence) -> bool:
    """Whether nobody said that."""
    plain = _SIGNS.sub("", text).lower()
    if not plain:
        return True
    return (
        evidence.logprob < _LEAST_LOGPROB
        or evidence.compression > _MOST_COMPRESSION
        or evidence.probability < _LEAST_PROBABILITY
        or (evidence.logprob < _DOUBTFUL_LOGPROB and evidence.no_speech > _DOUBTFUL_SILENCE)
        or len(plain) > _MOST_CHARACTERS_A_SECOND * max(evidence.seconds, 0.1)
        or (_is_phantom(text, plain) and _is_weak(evidence))
        or _repeats(text)
    )


def _is_phantom(text: str, plain: str) -> bool:
    return plain in _PHANTOMS or bool(_PHANTOM_PARTS.search(text))


def _is_weak(evidence: Evidence) -> bool:
    return evidence.logprob < _PHANTOM_LOGPROB or evidence.probability < _PHANTOM_PROBABILITY


def _repeats(text: str) -> bool:
    """Whether most of a text is one phrase again and again."""
    words = text.split() if " " in text.strip() else list(_SIGNS.sub("", text))
    for length in range(1, _LONGEST_REPEATED + 1):
        grams = Counter(tuple(words[place : place + length]) for place in range(len(words) - length + 1))
        most = max(grams.values(), default=0)
        if most > _MOST_REPEATS and most * length > 0.6 * len(words):
            return True
    return False
