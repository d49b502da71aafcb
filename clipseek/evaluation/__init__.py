"""Measures how well a service finds known moments: `clipseek eval`.

ground_truth.py: files of queries and their true moments. evaluate.py: asks all queries. measures.py: the
measures.
"""
