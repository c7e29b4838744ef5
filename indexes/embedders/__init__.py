"""The adapters of embedding models: sentence-transformers, feature hashing, and batching over either."""
