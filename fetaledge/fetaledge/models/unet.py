"""Building a network from a few plain values, which is how a run stores its architecture."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from fetaledge.models.checkpoint import read_checkpoint, without_prefix
from fetaledge.models.decoder_channels import DECODER_CHANNELS
from fetaledge.models.plain_unet import PlainUnet
from fetaledge.models.tensors import check_fit
from fetaledge.models.torchvision_stub import make_torchvision_importable
from fetaledge_runtimes.errors import InputError, UsageError
from fetaledge_runtimes.records import Part
from fetaledge_runtimes.tasks.task import Task

HEADS = ("segmentation_head.", "head.")  # of segmentation_models_pytorch's U-Net, and of the plain one


ArchitectureName = Literal[
    "unet", "plain-unet", "unetplusplus", "manet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus", "pan",
    "upernet", "segformer", "dpt",
]  # fmt: skip
OWN_ARGUMENTS = frozenset(
    {"self", "encoder_name", "encoder_weights", "in_channels", "classes", "activation", "aux_params"}
)
"""Parameters of segmentation_models_pytorch's classes that ``arguments`` does not hold: they have a place elsewhere."""
OLD_ARGUMENTS = frozenset({"decoder_use_batchnorm", "psp_use_batchnorm"})


class Architecture(Part, frozen=True):
    """The values that build the network again.

    Attributes:
        name: a class of segmentation_models_pytorch in lower case, or ``plain-unet`` (the baseline).
        encoder: an encoder name of segmentation_models_pytorch; ignored by ``plain-unet``.
        decoder_channels: widths of the decoder's blocks, the deepest first; empty for the class's own and for
            ``plain-unet``.
        classes: output channels (:func:`logits_of`).
        channels: input channels, 1 or 3; a grey frame is given to each.
        arguments: other arguments of the class, such as ``decoder_attention_type``.
        mean, std: of each channel; the network sees ``(x - mean) / std`` of its input ``x``, by a first layer that is
            never trained. Both empty: no such layer.
    """

    name: ArchitectureName = "unet"
    encoder: str = "mobilenet_v2"
    decoder_channels: tuple[int, ...] = DECODER_CHANNELS
    classes: int = 1
    channels: int = 3
    arguments: dict[str, Any] = {}
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def build(self, encoder_weights: str = "none") -> nn.Module:
        """The network; ``encoder_weights`` is ``imagenet`` (fetched by smp), ``none`` (random) or a file of tensors.

        Nothing is fetched but ImageNet's weights where they are asked for, whatever the encoder's name.

        Raises:
            UsageError: an unknown encoder or argument, or an impossible decoder.
            InputError: the weights cannot be fetched or read, or do not fit.
        """
        if self.name == "plain-unet":
            return PlainUnet(classes=self.classes)
        make_torchvision_importable()
        import segmentation_models_pytorch as smp

        _check_encoder(self.encoder)
        kind = smp.MODEL_ARCHITECTURES_MAPPING[self.name]
        _check_arguments(self.arguments, kind)
        arguments = dict(self.arguments)
        if self.decoder_channels:
            widths = list(self.decoder_channels)
            arguments = {"encoder_depth": len(widths), **arguments, "decoder_channels": widths}
        try:
            network: nn.Module = (kind if not self.mean else _normalising(kind))(
                self.encoder,
                encoder_weights="imagenet" if encoder_weights == "imagenet" else None,
                in_channels=self.channels,
                classes=self.classes,
                activation=None,
                **arguments,
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
            widths_said = f" and decoder channels {self.decoder_channels}" if self.decoder_channels else ""
            raise UsageError(
                f"no {kind.__name__} can be made of {self.encoder}{widths_said}: {reason}",
                "check the names against the documentation of segmentation_models_pytorch",
            ) from error
        if self.mean:
            _add_normalisation(network, self.mean, self.std)
        if encoder_weights not in ("imagenet", "none"):
            load_encoder(network, Path(encoder_weights))
        return network


def _check_encoder(name: str) -> None:
    """Raise :class:`UsageError` for an encoder that is not in the packages installed here.

    timm would take a name with a scheme or an owner in it for a repository of a model hub, and fetch that.
    """
    import segmentation_models_pytorch as smp
    import timm

    timm_name = name.removeprefix("tu-")
    known = timm.is_model(timm_name) and not set(timm_name) & set(":/") if name.startswith("tu-") else None
    if not (known or name in smp.encoders.get_encoder_names()):
        raise UsageError(
            f"segmentation_models_pytorch has no encoder {name!r}",
            "take a name from its documentation, such as mobilenet_v2, resnet18 or tu-mobilenetv4_conv_small",
        )


def _check_arguments(arguments: Mapping[str, Any], kind: type[nn.Module]) -> None:
    known = argument_names(kind) | OLD_ARGUMENTS
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise UsageError(f"{kind.__name__} has no argument {unknown[0]!r}", f"it has {', '.join(sorted(known))}")


def argument_names(kind: type[nn.Module]) -> set[str]:
    """The parameters of a class of segmentation_models_pytorch that :attr:`Architecture.arguments` may hold."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {one.name for one in parameters if one.kind is not one.VAR_KEYWORD} - OWN_ARGUMENTS


class Normalisation(nn.Conv2d):
    """``(x - mean) / std`` of each channel, as a convolution of 1×1 whose values are neither trained nor stored.

    It is a convolution so that :func:`fetaledge_export.device_model.fold_grey` makes one of a grey frame of it. In
    front of the network the borders stay what they were in training: its padding is 0 after the normalisation.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(len(mean), len(mean), 1)
        del self.weight, self.bias
        scale = torch.tensor([1 / value for value in std])
        self.register_buffer("weight", torch.diag(scale)[:, :, None, None], persistent=False)
        self.register_buffer("bias", -torch.tensor(mean) * scale, persistent=False)


def _normalising(kind: Any) -> Any:
    """The class whose input goes through the first layer that :func:`_add_normalisation` adds."""

    def forward(self: Any, image: torch.Tensor) -> Any:
        return kind.forward(self, self.normalisation(image))

    return type(kind.__name__, (kind,), {"forward": forward})


def _add_normalisation(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Register the layer before the others: the first convolution is what reads the frame."""
    parts = dict(network.named_children())
    for name in parts:
        delattr(network, name)
    network.add_module("normalisation", Normalisation(mean, std))
    for name, part in parts.items():
        network.add_module(name, part)


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
    """Load a file of encoder tensors (the encoder's own names, or those of a whole network) into ``network.encoder``.

    Raises:
        InputError: not a checkpoint, or its tensors do not fit the encoder.
    """
    encoder = network.get_submodule("encoder")
    expected = encoder.state_dict()
    weights = [name for name in expected if name.endswith("weight")]
    anchor = max(weights, key=lambda name: (name.count("."), name))  # a short name may end longer ones
    tensors, _ = without_prefix(read_checkpoint(path), anchor, path)
    check_fit(expected, tensors, path, "encoder")
    encoder.load_state_dict(tensors, strict=True)
