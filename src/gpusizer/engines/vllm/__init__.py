"""vLLM: how it uses memory, version by version."""
