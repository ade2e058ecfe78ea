"""Bringing a bundle to a device, with everything it needs to run there, and proving it before it is used."""

from __future__ import annotations

from fetaledge_benchmarks.deploying.deploy import deploy, remove
from fetaledge_benchmarks.deploying.deployment import Deployment
from fetaledge_benchmarks.deploying.known_targets import known_targets

__all__ = ["Deployment", "deploy", "known_targets", "remove"]
