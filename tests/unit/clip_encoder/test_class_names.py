"""What ImageNet's classes are called, by classes that everyone knows."""

import pytest

from executors.clip_encoder.starter.class_texts import CLASSES, ClassText, _parse_ranges, list_class_texts

ROBIN, GOLDFISH, GOLDEN_RETRIEVER, TABBY, PIZZA = 15, 1, 207, 281, 963
BEACH_WAGON, CAB, CONVERTIBLE, JEEP, MINIVAN, SPORTS_CAR = 436, 468, 511, 609, 656, 817


@pytest.fixture(scope="module")
def texts() -> list[ClassText]:
    return list_class_texts()


@pytest.fixture(scope="module")
def general(texts) -> dict[str, set[int]]:
    """The classes of each general noun; one that is the name of several nouns has those of all."""
    made: dict[str, set[int]] = {}
    for each in texts:
        if each.is_general:
            made.setdefault(each.text, set()).update(each.classes)
    return made


def test_ranges_are_read_with_both_their_ends():
    assert _parse_ranges(["1-3", "7"]) == (1, 2, 3, 7)
    assert _parse_ranges(["0-1", "5-5", "998-999"]) == (0, 1, 5, 998, 999)


def test_every_class_has_its_names_and_a_definition(texts):
    own: dict[int, list[str]] = {}
    for each in texts:
        if not each.is_general:
            [number] = each.classes
            own.setdefault(number, []).append(each.text)
    assert sorted(own) == list(range(CLASSES))
    assert all(len(names) >= 2 and all(name.strip() for name in names) for names in own.values())
    assert own[ROBIN][:2] == ["robin", "American robin"] and own[ROBIN][-1].startswith("large American thrush")
    assert own[GOLDFISH][0] == "goldfish"


def test_general_nouns_cover_the_classes_below_them(general):
    assert {ROBIN, *range(7, 25), *range(127, 147)} <= general["bird"]
    assert not {GOLDFISH, TABBY, CAB} & general["bird"]
    assert {BEACH_WAGON, CAB, CONVERTIBLE, JEEP, MINIVAN, SPORTS_CAR} <= general["vehicle"]
    assert not {ROBIN, PIZZA} & general["vehicle"]
    assert general["animal"] == set(range(398))
    assert general["dog"] == set(range(151, 269))
    assert general["dog"] | general["bird"] < general["animal"]
    assert GOLDEN_RETRIEVER in general["dog"] and TABBY in general["cat"]


def test_classes_are_known_and_named_once_in_each_text(texts):
    for each in texts:
        assert each.text == each.text.strip() != ""
        assert len(set(each.classes)) == len(each.classes) > 0
        assert all(0 <= number < CLASSES for number in each.classes)
