"""Times, sizes and counts, written as people read them."""


def timestamp(seconds: float) -> str:
    """`mm:ss.s`, with hours in front where there are any."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:" if hours else "") + f"{minutes:02d}:{tenths / 10:04.1f}"


def duration(seconds: float) -> str:
    """A length in seconds, or in minutes where it is long."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"


def counted(count: int | str, noun: str) -> str:
    """`1 video`, `2 videos`, and `? videos` where it is not known."""
    return f"{count} {noun}" if str(count) == "1" else f"{count} {noun}s"


def size(count: float) -> str:
    """Bytes in the unit that keeps the number short."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("the loop returns")
