"""Runs the server on this machine: `clipseek serve`.

run.py: all steps of a run. flow.py: Jina's Flow, started and stopped. stop.py: ends all processes in time.
supervise.py: restarts processes that died, or that hang, which probe.py finds out. page.py: the page beside it.
job_runner.py: does the jobs, in the process that job_process.py starts; model_change.py is one kind of them.
metrics_server.py, stored_metrics.py: /metrics for Prometheus.
"""
