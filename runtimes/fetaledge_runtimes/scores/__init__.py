"""Scores of masks and measures against the truth."""
