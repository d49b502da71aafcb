"""Suites that try to break the service, each `python -m benchmarks.torture.NAME`; see docs/faults.md."""
