"""Bytes to chunks in indexes."""
