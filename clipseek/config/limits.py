"""The limits that an operator sets, and the one way in which they are told."""

from clipseek.api.errors import LimitExceeded
from clipseek.config.settings import VARIABLES, Settings


def check_limit(settings: Settings, name: str, value: float, what: str) -> None:
    """Hold a value against the limit `settings.<name>`, both in the limit's unit.

    Args:
        what: what has this value, as the beginning of a sentence: "The video's length, 30.5 hours,".

    Raises:
        LimitExceeded: the value is above the limit, or not a number.
    """
    hold_against(name, getattr(settings, name), value, what)


def hold_against(name: str, limit: float, value: float, what: str) -> None:
    """`check_limit` for those that know one limit instead of all settings."""
    if not value <= limit:
        variable, _, meaning = VARIABLES[name]
        raise LimitExceeded(f"{what} is above the server's limit: {variable} is {limit:g} ({meaning}).")
