"""The indexer: the durable store, its Faiss cache, and the way from a query's embedding to segments."""
