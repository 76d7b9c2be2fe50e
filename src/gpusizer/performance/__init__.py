"""How fast a deployment is: work of a step, time of a step, serving."""
