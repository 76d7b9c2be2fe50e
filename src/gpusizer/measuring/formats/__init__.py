"""The files of load generators: one module a tool, each with ``recognises(table)`` and ``runs(table, told)``."""
