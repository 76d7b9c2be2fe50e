"""Quantisation: dialects of checkpoints, GGUF recipes, words for precisions, converting."""
