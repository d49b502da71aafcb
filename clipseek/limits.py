"""The limits that an operator sets, and the one way in which they are told."""

from clipseek.errors import LimitExceeded
from clipseek.settings import VARIABLES, Settings


def check_limit(settings: Settings, name: str, value: float, what: str) -> None:
    """Hold a value against the limit `settings.<name>`, both in the limit's unit.

    Args:
        what: what has this value, as the beginning of a sentence: "The film's length, 30.5 hours,".

    Raises:
        LimitExceeded: the value is above the limit, or not a number.
    """
    limit = getattr(settings, name)
    if not value <= limit:
        variable, _, meaning = VARIABLES[name]
        raise LimitExceeded(f"{what} is above {limit:g}, the server's limit ({variable}: {meaning}).")
