"""The Faiss index over all frames: a cache of the store that finds the videos near to a query.

`vector_index.py` is the way in; `kinds.py` makes the two kinds of Faiss index and `recall.py` measures what they find;
`cache.py` saves the index beside the store, and `shared_lock.py` lets searches run side by side.
"""
