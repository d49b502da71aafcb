"""What neighbouring stills show alike is one line, for as long as it is seen."""

from executors.word_reader.screen.lines import StillText, join_stills


def still(start: float, end: float, *texts: str) -> StillText:
    return StillText(start, end, [(text, 0.9) for text in texts])


def told(*stills: StillText) -> list[tuple[float, float, str]]:
    lines = sorted(join_stills(stills), key=lambda line: (line.start_seconds, line.text))
    return [(line.start_seconds, line.end_seconds, line.text) for line in lines]


def test_a_text_lasts_from_its_first_still_to_its_last():
    assert told(still(0, 4, "Agenda", "Costs"), still(4, 9, "Agenda", "Profits"), still(9, 12, "End")) == [
        (0, 9, "Agenda"),
        (0, 4, "Costs"),
        (4, 9, "Profits"),
        (9, 12, "End"),
    ]


def test_a_text_that_comes_back_is_another_line():
    assert told(still(0, 2, "Name"), still(2, 4), still(4, 6, "Name")) == [(0, 2, "Name"), (4, 6, "Name")]
    assert told(still(0, 2, "Name"), still(4, 6, "Name")) == [(0, 2, "Name"), (4, 6, "Name")]


def test_a_sign_misread_in_one_still_makes_no_second_line():
    stills = [
        StillText(0, 2, [("Webb Space Te1escope", 0.7)]),
        StillText(2, 4, [("Webb Space Telescope", 0.99)]),
    ]
    assert told(*stills) == [(0, 2, "Webb Space Te1escope"), (2, 4, "Webb Space Telescope")]
    stills[0] = StillText(0, 2, [("Webb Space Tejescope", 0.7)])
    [line] = join_stills(stills)
    assert (line.start_seconds, line.end_seconds, line.text, line.confidence) == (0, 4, "Webb Space Telescope", 0.99)


def test_other_numbers_are_another_text():
    assert len(told(still(0, 2, "Score of the home team 1:0"), still(2, 4, "Score of the home team 2:0"))) == 2


def test_the_same_text_twice_in_a_still_stays_two():
    assert len(told(still(0, 2, "Yes", "Yes"), still(2, 4, "Yes", "Yes"))) == 2


def test_the_script_tells_the_language():
    lines = join_stills([still(0, 2, "光合作用", "привет мир", "hello world", "こんにちは")])
    assert [line.language for line in lines] == ["zh", "ru", "", "ja"]
