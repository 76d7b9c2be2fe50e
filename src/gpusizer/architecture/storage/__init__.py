"""How bytes hold a tensor: number formats and patterns of module names."""
