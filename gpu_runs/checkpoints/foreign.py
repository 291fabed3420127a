"""Networks of other projects, in files of torch.save."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_runs.checkpoints.adm import is_adm, translate_adm
from gpu_runs.checkpoints.file_kinds import kind_of_state_dict
from gpu_runs.checkpoints.pickle_data import Opaque
from gpu_runs.checkpoints.score_sde import averaged, is_score_sde, translate_score_sde
from gpu_runs.checkpoints.stored_tensors import StoredTensor
from gpu_runs.checkpoints.torch_files import read_torch_file
from gpu_runs.checkpoints.translation import Translated, tensors_of
from gpu_runs.errors import OWN_CODE, CheckpointError, shown


def read_foreign(data: memoryview, given: Mapping[str, str], name: str) -> Translated:
    """The network in the bytes of such a file.

    Parameters
    ----------
    given : flags, what the person says about it. name : of the file.

    Raises
    ------
    CheckpointError : it is damaged, or a network that is not read here; says what it is and the way out.
    UnknownNameError, ParameterError : a flag is wrong.
    """
    content = read_torch_file(data)
    if type(content) is not dict:
        raise CheckpointError(f"holds {shown(content)}, not tensors by name; {OWN_CODE}")
    if {"net", "optimizer_state"} <= content.keys():
        raise CheckpointError(
            "a training state of EDM's, whose network is not averaged: use network-snapshot-*.pkl beside it"
        )
    if is_score_sde(content):
        return translate_score_sde(averaged(content), given)
    if is_adm(content):
        return translate_adm(tensors_of(content), given, name)
    inner = {key: value for key, value in content.items() if type(value) is dict}
    for key, value in inner.items():
        if is_adm(value):
            raise CheckpointError(
                f"has an ADM network as its entry {shown(key)}: save that alone, with torch.save"
            )
    names = [key for part in (content, *inner.values()) for key in _tensors_in(part)]
    if names:
        raise CheckpointError(kind_of_state_dict(names))
    for key, value in content.items():
        if isinstance(value, Opaque):
            raise CheckpointError(f"{shown(key)}: {value.why}; {OWN_CODE}")
    entries = ", ".join(shown(key, 20) for key in list(content)[:5])
    raise CheckpointError(f"holds no tensors by name but {entries or 'nothing'}; {OWN_CODE}")


def _tensors_in(part: dict[str, object]) -> list[str]:
    return [name for name, value in part.items() if isinstance(value, StoredTensor)]
