"""What a recogniser invents over music and silence is dropped; the same words said clearly stay."""

from dataclasses import replace

import pytest

from executors.word_reader.speech.inventions import Evidence, is_invented

SURE = Evidence(logprob=-0.15, no_speech=0.05, compression=1.3, probability=0.93, seconds=2.0)
WEAK = Evidence(logprob=-0.6, no_speech=0.4, compression=1.0, probability=0.6, seconds=2.0)


@pytest.mark.parametrize(
    "text",
    [
        "Thank you for watching.",
        " You",
        "you",
        "字幕by索兰娅",
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "Subtitles by the Amara.org community",
    ],
)
def test_phantoms_are_dropped_on_weak_evidence_only(text):
    assert is_invented(text, WEAK)
    assert not is_invented(text, replace(SURE, seconds=4.0))


@pytest.mark.parametrize("text", ["The rain in Spain", "广州市房地产中介协会分析", "We choose to go to the moon."])
def test_speech_stays(text):
    assert not is_invented(text, SURE) and not is_invented(text, WEAK)


@pytest.mark.parametrize(
    "evidence",
    [
        replace(SURE, logprob=-1.3),
        replace(SURE, logprob=-0.8, no_speech=0.7),
        replace(SURE, compression=2.6),
        replace(SURE, probability=0.2),
    ],
)
def test_what_the_recogniser_doubts_is_dropped(evidence):
    assert is_invented("The rain in Spain", evidence)


@pytest.mark.parametrize(
    "text", ["ha ha ha ha ha ha ha ha", "we go home we go home we go home we go home we go home", "问问问问问问问问问"]
)
def test_loops_are_dropped(text):
    assert is_invented(text, SURE)


def test_more_words_than_anyone_can_say_are_dropped():
    assert is_invented("a long sentence that nobody says in a tenth of a second", replace(SURE, seconds=0.1))


@pytest.mark.parametrize("text", ["", " . ", "♪♪", "..."])
def test_signs_alone_are_no_words(text):
    assert is_invented(text, SURE)
