"""A search and its address say the same."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from clipseek.api.score_scale import CUT_OFF
from frontend.logic.search_address import PAGE_SIZE, PARAMS, Ask, lines, whole_ids

FULL = Ask(
    text="a dog & a cat = friends?",
    also=("grass", "雪"),
    without=("snow",),
    image="0123456789abcdef",
    like=("a" * 64, 12.5),
    look_in=("heard", "written"),
    videos=("a" * 64, "b" * 64),
    least_score=0.25,
    minimum_seconds=1.5,
    maximum_seconds=9.0,
    all_matches=True,
    shown=18,
)


def read_back(ask):
    return Ask.from_params({k: v if isinstance(v, list) else [v] for k, v in ask.to_params().items()})


def test_a_search_goes_into_the_address_and_back():
    assert set(FULL.to_params()) == PARAMS
    short = replace(FULL, like=("a" * 12, 12.5), videos=("a" * 12, "b" * 12))
    assert read_back(FULL) == short
    assert Ask().to_params() == {} and read_back(Ask()) == Ask()


@given(st.text().map(str.strip), st.floats(0.01, 1.0).map(lambda x: float(f"{x:g}")), st.integers(PAGE_SIZE, 1000))
def test_any_text_and_numbers_survive(text, least, shown):
    ask = Ask(text=text, least_score=least, shown=shown)
    assert read_back(ask) == ask


def test_what_makes_no_sense_in_an_address_is_left_out():
    params = {
        "least": ["x"],
        "shortest": ["-1"],
        "longest": ["nan"],
        "shown": ["1e99"],
        "like": ["@1"],
        "all": ["2"],
    } | {"in": ["said"]}
    assert Ask.from_params(params) == Ask()
    assert Ask.from_params({"like": ["abc@x"], "least": ["7"]}) == Ask(least_score=1.0)


def test_more_results_filters_and_emptiness():
    assert Ask().with_more().shown == 2 * PAGE_SIZE
    assert Ask(shown=999).with_more().shown == 1000
    assert Ask(videos=("a",), least_score=0.1).filters == 2
    assert Ask(text=" ", without=("snow",)).is_empty and not Ask(like=("a", 0.0)).is_empty


def test_the_threshold_is_the_cut_off_unless_the_search_names_another():
    assert Ask().threshold == CUT_OFF and Ask(all_matches=True).threshold == 0.0 and FULL.threshold == 0.25
    assert Ask(least_score=0.3, all_matches=True).with_threshold(CUT_OFF) == Ask()
    assert Ask().with_threshold(0.0) == Ask(all_matches=True)
    for score in (0.0, 0.01, 0.49, 0.5, 0.51, 1.0):
        assert Ask(text="a cat").with_threshold(score).threshold == score


def test_short_ids_and_lines():
    assert whole_ids(["b", "", "x", "a1"], ["a1b", "a2", "b9"]) == ("b9", "a1b")
    assert lines(" a dog \n\n snow\n") == ("a dog", "snow")
