"""Building a network from a few plain values, which is how a run stores its architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import nn

from fetaledge.models.decoder_channels import DECODER_CHANNELS
from fetaledge.models.plain_unet import PlainUnet
from fetaledge.models.tensors import check_fit, read_tensors
from fetaledge.models.torchvision_stub import make_torchvision_importable
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.records import Part
from fetaledge_runtimes.tasks.task import Task

HEADS = ("segmentation_head.", "head.")  # of segmentation_models_pytorch's U-Net, and of the plain one


class Architecture(Part, frozen=True):
    """The values that build the network again.

    Attributes:
        name: ``unet`` (segmentation_models_pytorch) or ``plain-unet`` (the baseline).
        encoder: an encoder name of segmentation_models_pytorch; ignored by ``plain-unet``.
        decoder_channels: widths of the decoder's blocks, the deepest first; ignored by ``plain-unet``.
        classes: output channels (:func:`logits_of`).
    """

    name: Literal["unet", "plain-unet"] = "unet"
    encoder: str = "mobilenet_v2"
    decoder_channels: tuple[int, ...] = DECODER_CHANNELS
    classes: int = 1

    def build(self, encoder_weights: str = "none") -> nn.Module:
        """The network; ``encoder_weights`` is ``imagenet`` (fetched by smp), ``none`` (random) or a safetensors file.

        Raises:
            UsageError: an unknown encoder or an impossible decoder.
            InputError: the weights cannot be fetched or read, or do not fit.
        """
        if self.name == "plain-unet":
            return PlainUnet(classes=self.classes)
        make_torchvision_importable()
        import segmentation_models_pytorch as smp

        if not self.encoder.startswith("tu-") and self.encoder not in smp.encoders.get_encoder_names():
            raise UsageError(
                f"segmentation_models_pytorch has no encoder {self.encoder!r}",
                "take a name from its documentation, such as mobilenet_v2, resnet18 or tu-mobilenetv4_conv_small",
            )
        try:
            network: nn.Module = smp.Unet(
                self.encoder,
                encoder_weights="imagenet" if encoder_weights == "imagenet" else None,
                encoder_depth=len(self.decoder_channels),
                decoder_channels=list(self.decoder_channels),
                classes=self.classes,
                activation=None,
            )
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            if (
                encoder_weights == "imagenet"
                and not isinstance(error, (ValueError, KeyError))
                and "Unknown" not in reason
            ):
                raise InputError(
                    f"the ImageNet weights of {self.encoder} could not be fetched ({type(error).__name__})",
                    "connect to the network once, or pass a file with --encoder-weights",
                ) from error
            raise UsageError(
                f"no U-Net can be made of {self.encoder} and decoder channels {self.decoder_channels}: {reason}",
                "check both names against the documentation of segmentation_models_pytorch",
            ) from error
        if encoder_weights not in ("imagenet", "none"):
            load_encoder(network, Path(encoder_weights))
        return network


def logits_of(task: Task) -> int:
    """Output channels of a U-Net: one where there is one structure beside the background, else one for each class."""
    count = len(task.classes)
    return 1 if count == 2 else count


def load_body(network: nn.Module, other: nn.Module) -> list[str]:
    """Copy the weights of ``other`` into ``network``, which may differ in its number of classes.

    Returns the names of the segmentation head's tensors that do not fit and stay as they are.
    """
    own, given = network.state_dict(), other.state_dict()
    kept = [name for name in own if name.startswith(HEADS) and own[name].shape != given[name].shape]
    network.load_state_dict({**given, **{name: own[name] for name in kept}})
    return kept


def load_encoder(network: nn.Module, path: Path) -> None:
    """Load a safetensors file of encoder tensors (the encoder's own names) into ``network.encoder``.

    Raises:
        InputError: not a safetensors file, or its tensors do not fit the encoder.
    """
    tensors = read_tensors(path)
    encoder = network.get_submodule("encoder")
    check_fit(encoder.state_dict(), tensors, path, "encoder")
    encoder.load_state_dict(tensors, strict=True)
