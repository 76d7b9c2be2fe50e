"""MLX on Apple's chips: weights in groups, a cache that grows by blocks of rows, prompts read piece by piece."""
