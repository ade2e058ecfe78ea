"""The published widths of a U-Net's decoder; apart, so that the command's help reads them without torch."""

from __future__ import annotations

DECODER_CHANNELS = (256, 128, 64, 32, 16)
"""The deepest block first."""
