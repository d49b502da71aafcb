"""Work of an executor's package that a command has done in a process of its own, without importing what that needs.

Both ends: the command asks with `answer_of`, the module answers with `print_answer`, in JSON.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from clipseek.api.errors import ClipSeekError, error_from_name

# `-m` and `-c` by themselves look for imports first in the folder where the command is given: a `random.py` that lies
# there, perhaps beside videos from elsewhere, would be run.
PYTHON = (sys.executable, "-P")


def answer_of(
    module: str,
    *arguments: str,
    failure: Callable[[str], ClipSeekError],
    environ: Mapping[str, str] | None = None,
    given: str = "",
) -> Any:
    """Run a module with these arguments, and this on its standard input; what it answered.

    Args:
        failure: makes an error of the last line that was said, where no answer came, or the process failed after it.
        environ: added to this process's environment.

    Raises:
        ClipSeekError: the one that the module raised, or `failure`.
    """
    done = subprocess.run(
        [*PYTHON, "-m", module, *arguments],
        env={**os.environ, **(environ or {})},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise failure(last) from error
    if not done.returncode:
        return answer
    if isinstance(answer, dict) and "error" in answer:
        raise error_from_name(answer["error"], answer["message"]) or failure(answer["message"])
    raise failure(last)


def print_answer(work: Callable[[], Any]) -> None:
    """Print what `work` returns; if it raises an error of ours, that, and end with 1."""
    try:
        answer = work()
    except ClipSeekError as error:
        json.dump({"error": type(error).__name__, "message": str(error)}, sys.stdout)
        sys.exit(1)
    json.dump(answer, sys.stdout)
