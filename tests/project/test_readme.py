"""The README's Python runs as it stands, block after block, in one namespace."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
NEEDS_MORE = ("pipe(", "sample_seeds_3", "my_sampler")  # a pipeline, a model, a reader's module
BLOCKS = [
    block
    for block in re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
    if not any(text in block for text in NEEDS_MORE)
]


@pytest.mark.slow
def test_the_blocks_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the last one writes a picture
    names = {"network": lambda x, t: x}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), names)
    assert names["images"].isfinite().all()
    assert (tmp_path / "four.png").exists()
    assert len(BLOCKS) >= 8
