"""Text Embeddings Inference: encoders in batches of so many tokens, nothing kept."""
