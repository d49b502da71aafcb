"""The executors of the Flow, one package each. Their cores import neither jina nor docarray."""

from executors.machine.processors import keep_to_quota

keep_to_quota()  # here, because all processes of the Flow come by before they load torch or Faiss
