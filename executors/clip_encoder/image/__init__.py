"""The Flow's second step: `executor` turns pictures into embeddings; jina reads `config.yml`."""
