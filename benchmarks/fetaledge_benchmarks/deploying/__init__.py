"""Bringing a bundle to a device, with everything it needs to run there, and proving it before it is used."""

from __future__ import annotations

from fetaledge_benchmarks.deploying.deploy import check_engines, deploy
from fetaledge_benchmarks.deploying.deployment import Deployment
from fetaledge_benchmarks.deploying.known_targets import known_targets
from fetaledge_benchmarks.deploying.removal import remove

__all__ = ["Deployment", "check_engines", "deploy", "known_targets", "remove"]
