"""Calls a module of the executors in a process of its own, so that the command need not import what the module needs.

The command calls `call_module`; the module answers with `print_result`, in JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from clipseek.api.errors import ClipSeekError, error_from_name

# `-m` and `-c` alone look for imports first in the current folder: a `random.py` there, perhaps beside videos from
# elsewhere, would be run.
PYTHON = (sys.executable, "-P")


def call_module(
    module: str,
    *arguments: str,
    failure: Callable[[str], ClipSeekError],
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    shows_progress: bool = False,
) -> Any:
    """Run a module with arguments and standard input. Returns: its result.

    Args:
        failure: makes an error of the last line on stderr, if there is no result or the process failed after it.
        shows_progress: let the module write on this process's stderr.
        environ: added to this process's environment.

    Raises: ClipSeekError: the one that the module raised, or `failure`.
    """
    process = subprocess.run(
        [*PYTHON, "-m", module, *arguments],
        env={**os.environ, **(environ or {})},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=None if shows_progress else subprocess.PIPE,
        text=True,
        check=False,
    )
    last_line = ((process.stderr or "").strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    try:
        result = json.loads(process.stdout)
    except ValueError as error:
        raise failure(last_line) from error
    if not process.returncode:
        return result
    if isinstance(result, dict) and "error" in result:
        raise error_from_name(result["error"], result["message"]) or failure(result["message"])
    raise failure(last_line)


def print_result(work: Callable[[], Any]) -> None:
    """Print what `work` returns. If it raises a ClipSeekError, print that and exit with 1."""
    try:
        result = work()
    except ClipSeekError as error:
        json.dump({"error": type(error).__name__, "message": str(error)}, sys.stdout)
        sys.exit(1)
    json.dump(result, sys.stdout)
