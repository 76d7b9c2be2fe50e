"""Runs that were measured: read from the files of load generators, or measured here against a server that the user names.

The only part of gpusizer that opens a connection of its own, and only ``gpusizer measure ADDRESS`` does. Pages and tools for agents cannot reach it.
"""
