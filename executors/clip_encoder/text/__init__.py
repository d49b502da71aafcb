"""The Flow's third step: `executor` turns a query's texts into embeddings; jina reads `config.yml`."""
