"""The networks in EDM2's pickles, in the words of this project.

The format is that of EDM, see `gpu_runs.checkpoints.edm_pickle`; the classes have other names, and beside the
network there is one that estimates the loss in training, which is left out. The names are recalled: no file
was at hand.
"""

from __future__ import annotations

from torch import Tensor

from gpu_runs.checkpoints.edm_pickle import EDM2, EDMRecord, agree
from gpu_runs.checkpoints.preconditioning import NetworkSpec
from gpu_runs.errors import CheckpointError, shown

_NETWORK = "UNet"
"""The class of the network in the preconditioning."""
_IMAGES = ("img_resolution", "img_channels", "label_dim", "sigma_data")
"""Attributes of the preconditioning that are also keywords of its constructor."""
_OF_TRAINING = ("use_fp16", "logvar_channels")
"""Keywords that have no effect on what a trained network computes."""
_PLAIN_FILTER = ("resample_filter", (1, 1))
"""An option that has one published value."""


def is_edm2(record: EDMRecord) -> bool:
    """Whether a record is that of a network of EDM2."""
    return record.class_name == EDM2


def edm2_network(record: EDMRecord) -> tuple[NetworkSpec, dict[str, Tensor]]:
    """The description of the network, of which only what is needed here is checked, and its tensors.

    Raises
    ------
    CheckpointError : it is not built as those of EDM2.
    """
    if record.model_class != _NETWORK:
        raise CheckpointError(
            f"the network of EDM2 is a {_NETWORK}; got {shown(record.model_class)}"
        )
    for name in _IMAGES:
        if name not in record.attributes:
            raise CheckpointError(f"{EDM2} lacks its {name}")
    options = record.named_options()
    for name in _IMAGES:
        said = record.attributes[name]
        agree(name, options.pop(name, said), said)
    taps, published = _PLAIN_FILTER
    found = options.pop(taps, published)
    if not isinstance(found, list | tuple) or tuple(found) != published:
        raise CheckpointError(f"{taps} of EDM2 is [1, 1]; it is another one here")
    spec = NetworkSpec(
        preconditioning="EDMPrecond",
        architecture="EDM2UNet",
        resolution=record.attributes["img_resolution"],
        channels=record.attributes["img_channels"],
        label_dim=record.attributes["label_dim"],
        constants={"sigma_data": record.attributes["sigma_data"]},
        options={name: value for name, value in options.items() if name not in _OF_TRAINING},
    )
    tensors = {
        f"model.{name.removeprefix('unet.')}": tensor
        for name, tensor in record.tensors.items()
        if not name.startswith("logvar_")
    }
    return spec, tensors
