"""Jina 3.34: a deployment with shards cannot bring its own head, the process in front of the shards.

Jina's own head sends a request to one shard or to all, and concatenates their answers. Ours merges them.
"""

import importlib
from typing import Any

from jina.serve.runtimes.head import request_handling

JinaHead = request_handling.HeaderRequestHandler


def bring_own_heads() -> None:
    """Have Jina start `Head` of the last of a deployment's `py_modules` in flow.yml.

    Call it in the head's process, before Jina looks up its own head.
    """
    request_handling.HeaderRequestHandler = _own_head


def _own_head(args: Any, *rest: Any, **options: Any) -> Any:
    return importlib.import_module(args.py_modules[-1]).Head(args, *rest, **options)
