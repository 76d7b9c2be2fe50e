"""llama.cpp and Ollama: where layers are placed and what each device holds."""
