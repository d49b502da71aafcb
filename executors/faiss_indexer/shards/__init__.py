"""A library divided into shards, each indexed by a process of its own.

`head.py` answers in place of Jina's head, `sharded.py` asks the shards and merges their answers, and `resharding.py`
divides a store into another number of shards. That is the only SQL on a store outside the room `store/`.
"""
