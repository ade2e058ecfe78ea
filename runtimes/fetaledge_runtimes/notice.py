"""What stands on every report, document and picture."""

from __future__ import annotations

NOTICE = "research software, not a medical device"
