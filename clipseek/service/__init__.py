"""Runs the server on this machine: `clipseek serve`.

run.py: all steps of a run. flow.py: Jina's Flow, started and stopped. supervise.py: restarts dead processes. page.py:
the page beside it. metrics_server.py, stored_metrics.py: /metrics for Prometheus.
"""
