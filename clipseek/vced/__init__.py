"""Answers programs written for VCED with a ClipSeek server: `clipseek compat`.

server.py: the gRPC server they reach. requests.py: `/index` and `/search`. messages.py: VCED's messages. No other
room imports this one, so it can be left out.
"""
