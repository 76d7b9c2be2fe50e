"""What may carry a deployment: one module each, with ``write(workload) -> str``; its name with ``-`` is what ``--target`` takes."""
