"""Deploy a bundle to a device: send it with all that it needs, test it there, then put it to use."""

from __future__ import annotations

from fetaledge_devices.deploy.address_book import known_targets
from fetaledge_devices.deploy.deploy import check_engines, deploy
from fetaledge_devices.deploy.deployment import Deployment
from fetaledge_devices.deploy.remove import remove

__all__ = ["Deployment", "check_engines", "deploy", "known_targets", "remove"]
