"""Transformers: how a plain generate() uses memory."""
