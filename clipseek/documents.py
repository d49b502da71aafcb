"""docarray without torch. Whoever needs documents imports this module first.

docarray imports torch where it is installed, only to offer types that ClipSeek does not use: 480 MB and 2.6 s for every
process, measured with torch 2.14.1. So torch is hidden from it while it is imported, and from nothing else: a program
that uses torch itself does not notice.
"""

import sys
import warnings

_hide_torch = "torch" not in sys.modules
if _hide_torch:
    sys.modules["torch"] = None  # type: ignore[assignment]  # this is how Python marks a module that is not there
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # docarray was written for an older pydantic
        from docarray import BaseDoc, DocList
finally:
    if _hide_torch:
        del sys.modules["torch"]

__all__ = ["BaseDoc", "DocList"]
