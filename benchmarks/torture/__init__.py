"""Suites that try to break the service, each `python -m benchmarks.torture.NAME`: docs/faults.md, docs/limits.md."""
