"""Training, and the run folder that it writes."""

from __future__ import annotations

import logging

from fetaledge.models.torchvision_stub import make_torchvision_importable

make_torchvision_importable()  # Lightning's metrics import torchvision
for _noisy in ("torchao", "torch.utils._pytree"):  # they warn of kernels that nothing here uses
    logging.getLogger(_noisy).setLevel(logging.ERROR)
