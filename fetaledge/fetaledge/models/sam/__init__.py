"""Segment Anything without prompts, and its low-rank adapters."""
