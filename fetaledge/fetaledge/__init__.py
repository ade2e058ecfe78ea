"""A fetal-head segmentation model from training to a point-of-care device. Research software, not a medical device."""

from __future__ import annotations

__version__ = "0.1.0"
