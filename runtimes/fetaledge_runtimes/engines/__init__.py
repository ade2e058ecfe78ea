"""Engines: what executes a variant."""
