"""A trained segmentation network to a gated bundle. Research software, not a medical device."""

from __future__ import annotations

import fetaledge_runtimes

__all__ = ["__version__"]

__version__ = fetaledge_runtimes.__version__
