"""From an engine's log back to the plan: what it says, beside what was to be expected, why it ended so, and what would help."""
