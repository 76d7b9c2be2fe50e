"""A deployment as files that start it: what runs is worked out once (:mod:`~gpusizer.rendering.deployment.workload`), each target only writes it."""
