"""A fetal-head segmentation model from training to a point-of-care device. Research software, not a medical device."""

from __future__ import annotations

import fetaledge_runtimes

__version__ = fetaledge_runtimes.__version__
