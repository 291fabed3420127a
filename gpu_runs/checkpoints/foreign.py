"""Networks of other projects, in files of torch.save."""

from __future__ import annotations

from collections.abc import Mapping

from gpu_runs.checkpoints.adm import is_adm, translate_adm
from gpu_runs.checkpoints.file_kinds import kind_of_state_dict
from gpu_runs.checkpoints.score_sde import averaged, is_score_sde, translate_score_sde
from gpu_runs.checkpoints.stored_tensors import StoredTensor
from gpu_runs.checkpoints.torch_files import read_torch_file
from gpu_runs.checkpoints.translation import Translated
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
    stored = {key: value for key, value in content.items() if isinstance(value, StoredTensor)}
    if stored and is_adm(stored):
        return translate_adm(stored, given, name)
    inner = content.get("state_dict")
    names = [*stored, *(inner if type(inner) is dict else ())]
    if not names:
        entries = ", ".join(shown(key, 20) for key in list(content)[:5])
        raise CheckpointError(f"holds no tensors by name but {entries or 'nothing'}; {OWN_CODE}")
    raise CheckpointError(f"{kind_of_state_dict(names)}")
