"""The header of the project's own checkpoints: what safetensors calls metadata, strings by strings.

format          seeds-network
format_version  1
network         the `NetworkSpec` as JSON; an upper noise level of null: none
metadata        free JSON about the training
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gpu_runs.checkpoints.file_kinds import kind_of_state_dict
from gpu_runs.checkpoints.preconditioning import NetworkSpec
from gpu_runs.errors import CheckpointError, shown
from gpu_runs.files.strict_json import json_object
from seeds_theory.errors import ParameterError

FORMAT, FORMAT_VERSION = "seeds-network", "1"

HEADER_LIMIT = 1 << 22
"""Bytes of the JSON before the tensors; it is some 100 000 for the largest public networks."""


def write_header(spec: NetworkSpec, metadata: Mapping[str, Any]) -> dict[str, str]:
    """The strings for `safetensors.torch.save_file`; ParameterError for metadata that is no JSON."""
    network = spec.as_dict()
    network["sigma_max"] = None if math.isinf(spec.sigma_max) else spec.sigma_max
    try:
        text = json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(f"metadata of a checkpoint is finite JSON; got {error}") from error
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "network": json.dumps(network, allow_nan=False),
        "metadata": text,
    }


def read_header(data: bytes) -> tuple[NetworkSpec, dict[str, Any]]:
    """The description of the network, not checked yet, and the metadata in a safetensors file.

    Raises
    ------
    CheckpointError : the header is not one that `write_header` makes.
    """
    length = int.from_bytes(data[:8], "little")
    if not length <= min(HEADER_LIMIT, len(data) - 8):
        why = (
            "the file is cut off: fetch it again"
            if length <= HEADER_LIMIT
            else f"{HEADER_LIMIT} are read at most"
        )
        raise CheckpointError(f"a header of {length} bytes, in a file of {len(data)}: {why}")
    tensors = json_object(data[8 : 8 + length], "the header")
    header = tensors.pop("__metadata__", None)
    if type(header) is not dict or header.get("format") != FORMAT:
        raise CheckpointError(
            f"safetensors whose header does not say format {FORMAT}: {kind_of_state_dict(tensors)}"
        )
    if header.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"format version {shown(header.get('format_version'))}; this program reads {FORMAT_VERSION}"
        )
    network = json_object(header.get("network"), "the header's network")
    metadata = json_object(header.get("metadata"), "the header's metadata")
    names = {field.name for field in fields(NetworkSpec)}
    if network.keys() != names:
        raise CheckpointError(f"the header's network has to have {', '.join(sorted(names))}")
    if network["sigma_max"] is None:
        network["sigma_max"] = math.inf
    return NetworkSpec(**network), metadata
