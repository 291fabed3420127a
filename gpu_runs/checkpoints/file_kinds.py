"""What a file is that is not read here, and what to do with it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpu_runs.errors import OWN_CODE

_BEGINNINGS: list[tuple[bytes, str]] = [
    (
        b"version https://git-lfs",
        "a pointer of Git LFS and not the file: fetch it with git lfs pull",
    ),
    (b"<", "a page of HTML or XML and not the file: download it again"),
    (b"{", "JSON: a network is the file of tensors that lies beside it"),
    (b"\x89HDF", f"an HDF5 file, as of Keras; {OWN_CODE}"),
    (b"PK\x05\x06", "an archive of nothing: fetch the file again"),
    (b"GGUF", f"a GGUF file of quantised weights; {OWN_CODE}"),
    (b"\x93NUMPY", "an array of numpy's, which is no network"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"\xfd7zXZ", "compressed by xz: unpack it first"),
    (b"BZh", "compressed by bzip2: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
]
_TENSORFLOW_TABLE = bytes.fromhex("57fb808b247547db")

_STATE_DICTS: list[tuple[str, str]] = [
    (r"lora_(up|down|A|B)\b|\.alpha$", "a LoRA: changes to the weights of another network"),
    (
        r"model\.diffusion_model\.",
        "a checkpoint of latent or stable diffusion, with its prompts and decoder",
    ),
    (r"(double|single)_blocks\.|joint_blocks\.|transformer_blocks\.", "a diffusion transformer"),
    (
        r"down_blocks\.\d+\.",
        "weights of a U-Net of diffusers without their settings: give the folder that holds this file, "
        "config.json and the scheduler's, as --network FOLDER",
    ),
    (r"(quant_conv|decoder\.up)\.", "a decoder of latents"),
    (r"(unet|model)\.(downs|ups|mid_block1)\.|^downs\.", "a U-Net of denoising-diffusion-pytorch"),
]
_LOOKED_AT = 5000
"""Names of a state dict that are looked at."""


def kind_of_bytes(data: bytes) -> str:
    """What a file is that is neither a pickle nor safetensors nor an archive of entries, in words."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data.endswith(_TENSORFLOW_TABLE):
        return f"a checkpoint of TensorFlow; {OWN_CODE}"
    if 0x81 <= data[0] <= 0x8F or data[0] in (0xDE, 0xDF):
        return f"a file of msgpack, as Flax writes them; {OWN_CODE}"
    if data[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    return f"its first byte is {data[0]}; {OWN_CODE}"


def kind_of_state_dict(names: Iterable[str]) -> str:
    """What a state dict of another project is, by its names, and the way out."""
    looked_at = [name[:200] for name, _ in zip(names, range(_LOOKED_AT), strict=False)]
    for pattern, kind in _STATE_DICTS:
        if any(re.search(pattern, name) for name in looked_at):
            return f"{kind}; {OWN_CODE}"
    return f"tensors of a network that is not known here; {OWN_CODE}"
