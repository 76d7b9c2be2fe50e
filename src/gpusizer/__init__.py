"""How many GPUs does this model need: which, how many, in what layout, how fast, at what price, and why?"""
