"""Runs one process of the Flow by itself, as a pod of Kubernetes does.

`python -m executors.flow.pod executor ARGUMENTS` or `gateway ARGUMENTS`, with the arguments of Jina's commands of these
names; docker/kubernetes has them. Jina's own command would exit with 0 where an executor cannot start.
"""

import sys

import clipseek.schema  # noqa: F401 (before Jina: it keeps torch out of docarray)

# isort: split
import jina_cli.api
from jina.parsers import get_main_parser
from jina.serve.runtimes.asyncio import AsyncNewLoopRuntime
from jina.serve.runtimes.worker.request_handling import WorkerRequestHandler

from clipseek.api.errors import ClipSeekError
from executors.flow.lifetime import exit_without_teardown


def main() -> None:
    """Run until SIGTERM. If the process cannot start, print why in one line and exit with 1."""
    args = get_main_parser().parse_args()
    try:
        if args.cli == "gateway":
            jina_cli.api.gateway(args)
            return
        args.host, args.port_monitoring = args.host[0], args.port_monitoring[0]
        with AsyncNewLoopRuntime(args, req_handler_cls=WorkerRequestHandler) as runtime:
            runtime.run_forever()
    except ClipSeekError as error:
        sys.exit(f"clipseek: {args.name} cannot start. {error}")


if __name__ == "__main__":
    main()
    exit_without_teardown()
