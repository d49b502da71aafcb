"""The executors of the Flow, one package each. Their cores import neither jina nor docarray."""
