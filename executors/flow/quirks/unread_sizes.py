"""Jina 3.34: the gateway measures each request and each answer for metrics of its own, which are off here.

To do so it parses them wholly and serializes them again, in its event loop: an answer to 380 searches stopped it for
130 ms.
"""

from jina.types.request.data import DataRequest


def measure_nothing() -> None:
    """Have Jina take every request of this process for empty, where it only measures."""
    DataRequest.nbytes = 0
