"""The executors of the Flow, one package each. Their cores import neither jina nor docarray."""

from executors.machine.processors import keep_to_quota

keep_to_quota()  # here, because every process of the Flow imports this before torch or Faiss
