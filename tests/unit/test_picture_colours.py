"""The recipe with colours: what a picture shows and what a text names."""

import numpy as np
import pytest

from benchmarks.picture_colours import COLOURS, TINTS, ColourShares, fit_named_colours


@pytest.mark.parametrize("colour", COLOURS)
def test_a_picture_of_one_tint_has_its_colour(colour):
    picture = np.full((1, 64, 64, 3), TINTS[colour][0], np.uint8)
    [shares] = ColourShares().encode(picture)
    assert COLOURS[int(shares.argmax())] == colour
    assert shares[COLOURS.index(colour)] > 0.9
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_colour_counts_where_it_is_strongest():
    picture = np.full((1, 64, 64, 3), TINTS["black"][0], np.uint8)
    picture[0, :16, :48] = TINTS["red"][0]  # three of sixteen cells
    [shares] = ColourShares().encode(picture)
    assert shares[COLOURS.index("red")] > 0.9


def test_a_text_gets_the_colours_that_it_clearly_names():
    words: dict[str, np.ndarray] = {}
    source = np.random.default_rng(0)

    def encode(texts):
        for word in {word for text in texts for word in text.split()} - set(words):
            words[word] = source.standard_normal(256)
        rows = np.stack([sum(words[word] for word in text.split()) for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    names = [f"thing{n}" for n in range(200)]
    weigh = fit_named_colours(encode, names, encode(names))
    red, plain = weigh(encode(["a red thing5", "a thing5"]))
    assert {colour for colour, weight in zip(COLOURS, red, strict=True) if weight} == {"red"}
    assert not plain.any()
