"""``python -m fetaledge``: the command."""

from __future__ import annotations

from fetaledge.cli.app import main

main()
