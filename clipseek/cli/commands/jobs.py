"""`clipseek jobs`: what the service is indexing and reading, and the process that does it."""

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from clipseek.api.errors import InvalidSetting
from clipseek.api.formats import escape_hidden
from clipseek.api.limits import WORDS
from clipseek.cli.options import host_option, json_option
from clipseek.cli.terminal import print_json, show_table
from clipseek.config.settings import Settings, variable_of
from clipseek.machine import logs
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Job
    from clipseek.client import Client

_FOLLOW_SECONDS = 1.0
_FIELDS = ("job_id", "kind", "video_id", "title", "caller", "state", "done_seconds", "total_seconds", "tries", "error")


@click.group(invoke_without_command=True)
@click.option("--follow", is_flag=True, help="Print each change until no job is left. Ctrl-C stops this, not the jobs.")
@json_option
@host_option
@click.pass_context
def jobs(context: click.Context, follow: bool, as_json: bool, host: str | None) -> None:
    """List, follow and cancel what the service indexes.

    The service does these jobs by itself, for `clipseek index`, `clipseek watch` and the page. Callers take turns. New
    videos come before those that are indexed again. The words of videos are read while nobody has other work.

    \b
      clipseek jobs --follow
      clipseek jobs cancel 3f1c9a08b7d2
    """
    context.obj = host
    if context.invoked_subcommand:
        return
    from clipseek.client import Client

    with Client(host) as client:
        if follow:
            _follow(client, as_json)
        else:
            _list(client.jobs(), as_json)


@jobs.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@host_option
@click.pass_obj
def cancel(outer_host: str | None, ids: tuple[str, ...], host: str | None) -> None:
    """Cancel jobs by their IDs, as `clipseek jobs` lists them. What is indexed is kept."""
    from clipseek.client import Client

    with Client(host or outer_host) as client:
        for job_id in ids:
            say(_sentence(client.cancel_job(job_id)))


@jobs.command()
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
def run(until_stdin_ends: bool) -> None:
    """Do the jobs of the service at $CLIPSEEK_HOST, until SIGTERM or Ctrl-C.

    `clipseek serve` does this by itself. It is for services whose executors are started one by one, such as on
    Kubernetes. It needs the secret of gateway and executors, $CLIPSEEK_FLOW_SECRET. Several may run at once.
    """
    from clipseek.config.access import service_token
    from clipseek.service.job_runner import Runner, ServiceClient

    settings = Settings.from_env()
    if not settings.flow_secret:
        name = variable_of("flow_secret")
        raise InvalidSetting(f"{name} is not set. Set it to the secret that the gateway and the executors have.")
    logs.start(settings.log_level, settings.log_format, "jobs", replace=True)
    logging.getLogger("clipseek.client.transport").setLevel(logging.ERROR)  # the server itself tells that it restarts
    token = service_token(settings.flow_secret)
    runner = Runner(partial(ServiceClient, token))

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=_end, args=(runner.stop,), daemon=True).start())
    if until_stdin_ends:
        threading.Thread(target=_end, args=(sys.stdin.buffer.read, runner.stop), daemon=True).start()
        threading.Thread(target=_give_signs_of_life, daemon=True).start()
    runner.run()


def _give_signs_of_life() -> None:
    """Tell the process at the other end of stdout that this one does not hang, as `JobProcess` expects."""
    from clipseek.service.job_process import BEAT_SECONDS

    with contextlib.suppress(BrokenPipeError):
        while True:
            os.write(sys.stdout.fileno(), b".")
            time.sleep(BEAT_SECONDS)


def _end(*steps: Callable[[], object]) -> None:
    """Take the steps, and exit at once: requests under way are dropped, and the gateway cancels them."""
    for step in steps:
        step()
    sys.stderr.flush()
    os._exit(0)


def _list(listed: "list[Job]", as_json: bool) -> None:
    if as_json:
        print_json([_data(job) for job in listed])
    elif listed:
        show_table(
            ("Job", "Title", "State", ">Progress", "By"),
            [(job.job_id, _title(job), _state(job), _progress(job), job.caller) for job in listed],
        )
    else:
        say("There are no jobs. `clipseek index --detach FILE` files one.")


def _follow(client: "Client", as_json: bool) -> None:
    """Print each job when it changes, until none is unfinished."""
    shown: dict[str, tuple[str, str]] = {}
    listed: list[Job] = []
    is_first = True
    try:
        while True:
            listed = client.jobs()
            for job in listed:
                news = (_state(job), _progress(job))
                is_old = is_first and not job.is_unfinished
                if shown.get(job.job_id) != news and not is_old:
                    print_line(job, as_json)
                shown[job.job_id] = news
            is_first = False
            if not any(job.is_unfinished for job in listed):
                return
            time.sleep(_FOLLOW_SECONDS)
    except KeyboardInterrupt:
        say(f"Stopped looking. Unfinished jobs, which continue: {sum(job.is_unfinished for job in listed)}.")


def print_line(job: "Job", as_json: bool) -> None:
    """Print one job on stdout."""
    click.echo(json.dumps(_data(job)) if as_json else escape_hidden(_sentence(job)))


def _sentence(job: "Job") -> str:
    error = f": {job.error}" if job.error else ""
    return f"{job.job_id}  {_title(job)}: {job.state} {_progress(job)}{error}"


def _title(job: "Job") -> str:
    return f"words of {job.title}" if job.kind == WORDS else job.title


def _state(job: "Job") -> str:
    if job.error and job.is_unfinished:
        return f"{job.state}, tried {job.tries} x"
    return job.state


def _progress(job: "Job") -> str:
    return f"{100 * job.done_seconds / job.total_seconds:.0f} %" if job.total_seconds else ""


def _data(job: "Job") -> dict[str, Any]:
    return {name: getattr(job, name) for name in _FIELDS}
