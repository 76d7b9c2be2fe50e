"""Headers of checkpoint files: safetensors and GGUF."""
