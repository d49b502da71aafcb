"""Suites that try to break the service, each `python -m benchmarks.torture.NAME`: docs/faults.md, docs/limits.md."""

from clipseek.api.quirks import stand_in_for_cloud_clients

stand_in_for_cloud_clients()  # before a suite imports jina
