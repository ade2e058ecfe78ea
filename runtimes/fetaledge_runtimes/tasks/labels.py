"""Labels of the structures in a transperineal mask."""

from __future__ import annotations

PS, FH = 1, 2
"""The pubic symphysis and the fetal head."""
