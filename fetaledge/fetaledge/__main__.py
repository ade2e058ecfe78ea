"""``python -m fetaledge``: the command."""

from __future__ import annotations

from fetaledge.cli import main

main()
