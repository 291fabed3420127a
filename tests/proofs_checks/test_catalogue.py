import pytest

from proofs_checks import catalogue
from proofs_checks.catalogue import all_claims, claim_names, matching_names, write_names
from seeds_theory import UnknownNameError


def test_the_file_of_names_is_written_as_it_is(tmp_path, monkeypatch):
    kept = catalogue._NAMES_FILE.read_bytes()
    monkeypatch.setattr(catalogue, "_NAMES_FILE", tmp_path / "names.txt")
    write_names()
    assert (tmp_path / "names.txt").read_bytes() == kept, "out of date: make names"
    assert tuple(all_claims()) == claim_names()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda names: [*names, "phi-gone"], r"\['phi-gone'\]"),
        (lambda names: names[1:], r"\['phi-\S+'\]"),
        (lambda names: names[::-1], "their order"),
    ],
)
def test_a_file_of_names_that_is_out_of_date_is_told(change, told, tmp_path, monkeypatch):
    stale = tmp_path / "names.txt"
    stale.write_text("\n".join(change(claim_names())))
    monkeypatch.setattr(catalogue, "_NAMES_FILE", stale)
    with pytest.raises(ValueError, match=f"out of date \\({told}\\).*make names"):
        all_claims()


def test_names_are_found_by_id_and_chapter():
    assert matching_names(["phi-recurrence"]) == ("phi-recurrence",)
    assert {name.partition("-")[0] for name in matching_names(["noise"])} == {"noise"}


def test_names_are_found_once_in_the_order_asked_for():
    found = matching_names(["phi-taylor", "exact", "phi"])
    chapters = [name.partition("-")[0] for name in found]
    assert found[0] == "phi-taylor"
    assert list(dict.fromkeys(chapters)) == ["phi", "exact"]
    assert len(set(found)) == len(found)
    assert matching_names([]) == claim_names()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("nothing", "the chapters are phi, exact, noise"),
        ("phi-recurence", "did you mean phi-recurrence"),
        ("joining", "did you mean noise-joining, noise-joining-averages"),
        ("ph", "no claim is named 'ph'"),  # a prefix ends where a word does
    ],
)
def test_an_unknown_name_is_refused_before_a_claim_is_loaded(wanted, told, monkeypatch):
    monkeypatch.setattr(catalogue, "_load", lambda: pytest.fail("claims were loaded"))
    with pytest.raises(UnknownNameError, match=told):
        matching_names([wanted])
