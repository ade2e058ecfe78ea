"""Synthetic frames whose masks and measures are known exactly."""
