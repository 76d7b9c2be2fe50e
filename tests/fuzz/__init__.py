"""Everything that a stranger may feed to gpusizer, fed with what no stranger would write: in every test run, at length by ``scripts/fuzz``.

A :class:`~fuzz.surface.Surface` says what is fed and what must hold of the answer; ``fuzz.surfaces`` has one module for each.
"""
