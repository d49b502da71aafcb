"""The process that Jina starts before shards: its own head sends a request to one shard or to all, and strings their
answers together. A deployment can bring another one.
"""

import importlib
from typing import Any

from jina.serve.runtimes.head import request_handling

JinaHead = request_handling.HeaderRequestHandler


def bring_own_heads() -> None:
    """Have Jina start `Head` of the last of a deployment's `py_modules` in flow.yml.

    To be called in the head's process, before Jina looks up its own.
    """
    request_handling.HeaderRequestHandler = _own_head


def _own_head(args: Any, *rest: Any, **options: Any) -> Any:
    return importlib.import_module(args.py_modules[-1]).Head(args, *rest, **options)
