"""Work of an executor's package that a command has done in a process of its own, without importing what that needs.

Both ends: the command asks with `answer_of`, the module answers with `print_answer`, in JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from clipseek.errors import ClipSeekError, error_from_name


def answer_of(
    module: str,
    *arguments: str,
    failure: Callable[[str], ClipSeekError],
    environ: Mapping[str, str] | None = None,
    given: str = "",
) -> Any:
    """Run a module with these arguments, and this on its standard input; what it answered.

    Args:
        failure: makes an error of the last line that was said, where no answer came.
        environ: added to this process's environment.

    Raises:
        ClipSeekError: the one that the module raised, or `failure`.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **(environ or {})},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise failure((done.stderr.strip().splitlines() or ["no message"])[-1]) from error
    if done.returncode:
        raise error_from_name(answer["error"], answer["message"]) or failure(answer["message"])
    return answer


def print_answer(work: Callable[[], Any]) -> None:
    """Print what `work` returns; if it raises an error of ours, that, and end with 1."""
    try:
        answer = work()
    except ClipSeekError as error:
        json.dump({"error": type(error).__name__, "message": str(error)}, sys.stdout)
        sys.exit(1)
    json.dump(answer, sys.stdout)
