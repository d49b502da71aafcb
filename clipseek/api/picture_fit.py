"""How a picture of any shape goes into a model's square: squashed, padded, or cropped to its middle."""

FITS = ("squash", "pad", "crop")
_MOST_CROPPED = 4  # how many times the wanted length a picture may have; a longer one is squashed to that


def size_inside(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture scaled to fit inside a wanted width and height, in its own proportions."""
    factor = min(to / length for length, to in zip(size, wanted, strict=True))
    width, height = (min(to, max(1, round(length * factor))) for length, to in zip(size, wanted, strict=True))
    return width, height


def size_around(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture scaled to cover a wanted width and height, in its own proportions.

    It never gets more than four times as long as wanted: scaling a strip of a few lines would fill the memory.
    """
    factor = max(to / length for length, to in zip(size, wanted, strict=True))
    width, height = (
        min(max(to, round(length * factor)), _MOST_CROPPED * to) for length, to in zip(size, wanted, strict=True)
    )
    return width, height
