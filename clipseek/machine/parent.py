"""Ends a process with the one that started it, by the kernel: a process that is stuck cannot do that itself."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def kill_with_parent() -> None:
    """Have the system kill this process once the thread that started it ends. Only Linux can; elsewhere, do nothing.

    Call it only where that thread lasts as long as its process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
