"""Training, and the run folder that it writes."""

from __future__ import annotations

from fetaledge.models.torchvision_stub import make_torchvision_importable

make_torchvision_importable()  # Lightning's metrics import torchvision
