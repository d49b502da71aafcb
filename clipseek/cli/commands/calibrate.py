"""`clipseek calibrate`: fit the cut-off to the library."""

from typing import TYPE_CHECKING

import click

from clipseek.cli.options import json_option, with_client
from clipseek.cli.terminal import print_json
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.client import Client


@click.command()
@click.option(
    "--answered",
    "answered_share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="Share of neutral descriptions that may still find a match. Less makes matches rarer.",
)
@click.option("--reset", is_flag=True, help="Go back to the model's own scale.")
@json_option
@with_client
def calibrate(client: "Client", answered_share: float, reset: bool, as_json: bool) -> None:
    """Fit the cut-off to this library.

    The cut-off is the score from which a match counts. The model's own scale is a compromise for all libraries. This
    searches for a hundred ordinary things that few libraries contain, and moves the cut-off so that hardly any of them
    finds a match. Run it again after the library has changed much.

    \b
      clipseek calibrate
      clipseek calibrate --answered 0.05
      clipseek calibrate --reset
    """
    calibration = client.calibrate(answered_share, reset=reset)
    if as_json:
        names = ("shift", "phrase_count", "answered_before", "answered")
        print_json({name: getattr(calibration, name) for name in names})
    elif reset:
        say("The cut-off is the model's own again.")
    else:
        say(
            f"{calibration.answered} of {calibration.phrase_count} neutral descriptions now find a match; before: "
            f"{calibration.answered_before}. The cut-off moved by {calibration.shift:+.2f} (1 is the distance from the "
            "background to a right frame)."
        )
