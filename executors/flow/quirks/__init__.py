"""Workarounds for Jina and for the exporter of traces, one module each.

`tests/unit/flow/test_flow_quirks.py` fails once one of them is no longer needed.

One more stands in flow.yml, as the option `grpc.http2.max_ping_strikes`: Jina 3.34 misspells its own options for pings,
so its server hangs up on idle connections.
"""
