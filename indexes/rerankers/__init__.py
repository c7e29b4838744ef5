"""The adapters of rerankers: cross-encoders, late interaction, model servers, and batching."""
