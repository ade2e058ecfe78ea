"""Runs: the folder that training writes, opened and scored."""
