import os

import pytest

from gpu_runs.files.prompts import PromptError, read_prompts
from seeds_theory.errors import SeedsError


def prompts_in(folder, content):
    path = folder / "prompts.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_prompts(path)


def test_every_line_is_a_prompt(tmp_path):
    text = "a lighthouse\n# a hash is a letter\n  two blanks \t\nça, 灯台 👩‍🚀\nthe last\n\n \n"
    expected = ("a lighthouse", "# a hash is a letter", "two blanks", "ça, 灯台 👩‍🚀", "the last")
    assert prompts_in(tmp_path, text) == expected
    assert prompts_in(tmp_path, text.replace("\n", "\r\n")) == expected
    assert prompts_in(tmp_path, b"\xef\xbb\xbfa\nb") == ("a", "b")  # as Windows begins a file
    assert prompts_in(tmp_path, "the same\nthe same") == ("the same",) * 2
    assert prompts_in(tmp_path, "a\tb\u2028c") == ("a\tb\u2028c",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no prompt: write one a line"),
        ("\n \n\t\n", "holds no prompt"),
        ("\ufeff", "holds no prompt"),
        ("a\n\nb\n", r"line 2 of .* is blank: remove it"),
        (b"\x89PNG\r\n\x1a\n", r"is no UTF-8 text \(byte 0\)"),
        ("a\nb".encode("utf-16"), r"is no UTF-8 text \(byte 0\)"),
        ("é".encode("latin-1"), "is no UTF-8 text"),
        ("a\x00b", r"line 1 of .* has the character '\\x00'"),
        ("a\nb\x1b[31m", r"line 2 of .* has the character '\\x1b'"),
        ("old\rMac", r"has the character '\\r'"),
        ("a\n" + "b" * 1_000_000, r"line 2 of .* has 1000000 characters, a prompt at most 10000"),
        ("a\n" * 1_000_000, "has 1000000 prompts, a run at most 100000: use several files"),
        ("word " * 10_000_000, "is larger than 16777216 bytes"),
    ],
)
def test_what_is_no_list_of_prompts_is_one_line(tmp_path, content, message):
    with pytest.raises(PromptError, match=message) as caught:
        prompts_in(tmp_path, content)
    assert isinstance(caught.value, SeedsError) and str(caught.value).isprintable()


def test_no_file_of_prompts(tmp_path):
    with pytest.raises(PromptError, match="there is no file of prompts"):
        read_prompts(tmp_path / "missing.txt")
    with pytest.raises(PromptError, match="no regular file"):
        read_prompts(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PromptError, match="no regular file"):
        read_prompts(tmp_path / "pipe")
    with pytest.raises(PromptError, match="cannot read"):
        read_prompts("nul\x00byte")
    with pytest.raises(PromptError, match="no file of prompts"):
        read_prompts("\x1b[31m.txt")
