"""TensorRT-LLM: how it uses memory."""
