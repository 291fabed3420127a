"""What passes and what does not: known findings, skipped checks, Markdown, the badge."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
import samplers as s
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt

from proofs_checks.audit import CHECKS, Expectation, Finding, Report, Severity, assert_order, audit
from proofs_checks.audit.badge import badge, message_of
from proofs_checks.audit.gate import Verdict, judge, listed
from proofs_checks.audit.known import KnownFindings, is_known
from proofs_checks.audit.markdown import markdown, verbatim
from proofs_checks.audit.names import CHECK_NAMES
from seeds_theory.errors import ParameterError, UnknownNameError

pytestmark = pytest.mark.usefixtures("fewer_steps")

ORDER = Finding("weak-order", Severity.error, "order 2", "order 1.01 +- 0.02", 1.01)
CRASH = Finding(
    "short-grids", Severity.error, "a result for one step", "raises IndexError (f, line 31)"
)
CALLS = Finding("callback", Severity.warning, "12 calls", "11 calls, i = 0, 1", 11)
NOTE = Finding("seeds", Severity.note, "a noise_sampler parameter", "none: no seed per sample")


def report(
    *findings: Finding, target: str = "mine:sample", skipped: tuple[str, ...] = ()
) -> Report:
    return Report(target, findings=findings, skipped=skipped)


@pytest.fixture
def known_of(tmp_path: Path):
    """The known findings of reports, through its file."""

    def of(*reports: Report) -> KnownFindings:
        file = tmp_path / "known.json"
        file.write_text(json.dumps([each.to_json() for each in reports]))
        return KnownFindings.read(file)

    return of


def test_the_light_list_is_the_registry() -> None:
    assert tuple(CHECKS) == CHECK_NAMES


# ------------------------------------------------------------------------------------ known findings


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"figure": 1.09, "found": "order 1.09"}, True),  # a tenth, however it is printed
        ({"figure": 1.2}, False),
        ({"figure": 0.5}, False),
        ({"figure": None}, False),
        ({"figure": math.inf}, False),
        ({"severity": Severity.warning}, True),
        ({"expected": "order 3"}, False),  # now more is expected
        ({"expected": "weak order 2"}, False),
        ({"id": "strong-order"}, False),
    ],
)
def test_a_known_finding_is_of_the_same_check_and_figure(change: dict, known: bool) -> None:
    assert is_known(replace(ORDER, **change), ORDER) is known


def test_without_a_figure_a_known_finding_reads_the_same_but_for_numbers() -> None:
    assert is_known(replace(CRASH, found="raises IndexError (f, line 77)"), CRASH)
    assert not is_known(replace(CRASH, found="raises KeyError (f, line 31)"), CRASH)
    assert not is_known(replace(CRASH, expected="a result for two steps"), CRASH)


def test_a_finding_that_has_become_worse_is_new() -> None:
    assert not is_known(replace(CALLS, severity=Severity.error), CALLS)


def test_known_findings_pass_and_new_ones_fail(known_of) -> None:
    known = known_of(report(ORDER, CALLS, NOTE))
    assert judge(report(ORDER), Severity.error).failing == (ORDER,)
    assert judge(report(ORDER, CALLS), Severity.error, known).passes
    verdict = judge(report(ORDER, CRASH, NOTE), Severity.error, known)
    assert (verdict.failing, verdict.known, verdict.missing) == ((CRASH,), (ORDER,), (CALLS,))
    assert judge(report(CALLS), Severity.error, known_of()).passes
    assert not judge(report(CALLS), Severity.warning, known_of()).passes


def test_a_finding_is_known_of_its_target_and_once(known_of) -> None:
    known = known_of(report(ORDER), report(CRASH, target="other:sample"))
    assert not judge(report(CRASH), Severity.error, known).passes
    assert judge(report(CRASH, target="other:sample"), Severity.error, known).passes
    second = replace(ORDER, figure=1.0)
    assert not judge(report(ORDER, second), Severity.error, known).passes


def test_what_could_not_be_found_is_not_missing(known_of) -> None:
    known = known_of(report(ORDER, CALLS))
    stopped = Finding("runs", Severity.error, "states", "raises RuntimeError")
    assert judge(report(stopped), Severity.error, known).missing == ()
    skipped = report(ORDER, skipped=("callback",))
    assert judge(skipped, Severity.error, known).missing == ()
    assert judge(report(ORDER), Severity.error, known).missing == (CALLS,)


def test_a_terminal_is_told_what_known_findings_change(known_of) -> None:
    known = known_of(report(ORDER, CALLS))
    verdicts = [judge(report(ORDER, CRASH), Severity.error, known)]
    verdicts.append(judge(report(target="other:sample"), Severity.error, known))
    assert listed(verdicts) == (
        "mine:sample: new: short-grids; known: weak-order; known, but not found this time: callback\n"
        "other:sample: nothing new\n"
    )


RECORD = {"target": "mine:sample", "findings": [ORDER.to_json()]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{}",
        "[1]",
        "[{}]",
        "[[[[" * 100_000,
        json.dumps([RECORD, RECORD]),
        json.dumps([RECORD | {"target": 3}]),
        json.dumps([RECORD | {"findings": {}}]),
        json.dumps([RECORD | {"findings": ["weak-order"]}]),
        *(
            json.dumps([RECORD | {"findings": [ORDER.to_json() | change]}])
            for change in (
                {"id": "speed"},
                {"id": ["runs"]},
                {"severity": "fatal"},
                {"severity": None},
                {"expected": 2},
                {"figure": "1.0"},
                {"figure": True},
                {"figure": math.nan},
            )
        ),
        json.dumps([{"target": "mine:sample", "findings": [{"id": "runs"}]}]),
        "\ud800",
    ],
    ids=range(20),
)
def test_a_malformed_file_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(
        ParameterError, match=r"known.json is no record .*seeds-audit --json"
    ) as caught:
        KnownFindings.read(file)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_record_of_the_audit_is_of_known_findings(tmp_path: Path) -> None:
    """Of a sampler with findings of several kinds, written, read, and met again."""
    broken = s.changes_sigmas(s.returns_none(s.euler))
    found = audit(broken)
    file = tmp_path / "known.json"
    file.write_text(json.dumps([found.to_json()]))
    verdict = judge(audit(broken), Severity.note, KnownFindings.read(file))
    assert verdict.passes and verdict.known == found.findings != ()


# ------------------------------------------------------------------------------------------- skipping

SLOW = (
    *("shapes", "weak-order", "convergence", "accident", "sagging-order", "uneven-steps"),
    *("noise-source", "empty-stretch", "correlated-noise", "strong-order", "limit", "mixture"),
    "grid-to-zero",
)


def test_a_skipped_check_does_not_run_and_the_report_says_so() -> None:
    broken = s.changes_sigmas(s.euler)
    quick = audit(broken, skip=SLOW)
    assert [finding.id for finding in quick.findings] == ["inputs"]
    assert quick.skipped == SLOW
    assert quick.to_json()["skipped"] == list(SLOW)
    without = audit(broken, skip=[*SLOW, "inputs"])
    assert without.findings == ()


@pytest.mark.parametrize(
    ("said", "check"),
    [
        ({"weak": 2}, "weak-order"),
        ({"ode": 2}, "weak-order"),
        ({"weak": 2}, "convergence"),
        ({"ode": 2}, "convergence"),
        ({"strong": 1}, "strong-order"),
        ({"zero": True}, "grid-to-zero"),
        ({"zero": True}, "short-grids"),
        ({"one_step": True}, "short-grids"),
    ],
)
def test_what_is_expected_is_looked_at(said: dict, check: str) -> None:
    with pytest.raises(ParameterError, match=f"^{check} decides whether the expected"):
        assert_order(s.euler, **said, skip=[check])
    Expectation(**said).require_checked(["seeds"])


@pytest.mark.parametrize("name", ["runs", "batch"])
def test_what_all_rests_on_always_runs(name: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name} always runs"):
        audit(s.euler, skip=[name])


def test_a_check_that_is_none_is_not_skipped() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown check 'callbak' \(did you mean 'callback'"
    ):
        assert_order(s.euler, skip=["callbak"])


@pytest.mark.slow
def test_an_assertion_takes_known_findings(tmp_path: Path) -> None:
    broken, file = s.changes_sigmas(s.euler), tmp_path / "known.json"
    with pytest.raises(AssertionError, match="error inputs"):
        assert_order(broken, skip=SLOW)
    file.write_text(json.dumps([audit(broken, skip=SLOW).to_json()]))
    assert_order(broken, skip=SLOW, accept=file)
    assert_order(broken, skip=SLOW, accept=str(file))


# ------------------------------------------------------------------------------------------- Markdown

HOSTILE = "a|b `c` *d* _e_ <script>x</script> </details> [l](u) @team http://x.y $z$\n\n# h"


def rendered(text: str) -> BeautifulSoup:
    """As GitHub reads it: CommonMark with tables, in which HTML passes."""
    return BeautifulSoup(MarkdownIt("commonmark").enable("table").render(text), "html.parser")


@pytest.mark.parametrize("where", ["{}", "| head |\n|---|\n| {} |"])
def test_a_text_is_shown_as_it_is(where: str) -> None:
    page = rendered(where.format(verbatim(HOSTILE)))
    (code,) = page.find_all("code")
    assert code.get_text() == " ".join(HOSTILE.split())
    assert not code.find_all(True) and not page.find_all(["script", "a", "em", "h1"])


def test_the_table_has_a_row_for_each_sampler_and_findings_below() -> None:
    hostile = replace(CRASH, found=HOSTILE, expected=HOSTILE)
    verdicts = [
        Verdict(
            report(ORDER, hostile, skipped=("mixture",)),
            (hostile,),
            known=(ORDER,),
            missing=(CALLS,),
        ),
        Verdict(report(NOTE, target=HOSTILE), ()),
        Verdict(report(target="clean:sample"), ()),
    ]
    page = rendered(markdown(verdicts))
    assert page.h3.get_text() == "Samplers: 1 of 3 fail"
    _, *rows = [
        [cell.get_text() for cell in row.find_all(["td", "th"])] for row in page.find_all("tr")
    ]
    assert [row[0] for row in rows] == ["mine:sample", " ".join(HOSTILE.split()), "clean:sample"]
    assert all(row[1] == "no orders: see the findings" for row in rows)
    assert [row[2] for row in rows] == [
        "fails: 2 errors; 1 known; 1 known, not found this time; 1 check skipped",
        "1 note",
        "none",
    ]
    first, second = page.find_all("details")
    assert [item.b.get_text() for item in first.find_all("li")] == ["error", "error", "warning"]
    assert ", known: " in first.li.get_text()
    assert " ".join(HOSTILE.split()) in first.find_all("li")[1].get_text()
    assert len(second.find_all("li")) == 1
    assert not page.find_all(["script", "a", "em", "h1"])


def test_the_title_says_that_all_pass() -> None:
    assert markdown([Verdict(report(), ())]).startswith("### Samplers: all pass\n")


# ------------------------------------------------------------------------------------------- the badge


@pytest.mark.parametrize(
    ("verdict", "expect", "message"),
    [
        (Verdict(report(), ()), "weak=2,strong=1,zero", "weak 2, strong 1"),
        (Verdict(report(), ()), "zero", "no error"),
        (Verdict(report(ORDER), (ORDER,)), "ode=2", "1 finding"),
        (Verdict(report(ORDER, CRASH), (ORDER, CRASH)), "ode=2", "2 findings"),
        (Verdict(report(ORDER), (), known=(ORDER,)), "ode=2", "no new error, 1 known"),
    ],
)
def test_a_badge_says_what_was_decided(verdict: Verdict, expect: str, message: str) -> None:
    expectation = Expectation.parse(expect)
    assert message_of([verdict], Severity.error, expectation) == message
    picture = ElementTree.fromstring(badge([verdict], Severity.error, expectation))
    assert picture.attrib["aria-label"] == f"seeds-audit: {message}"
    *_, shown = picture.iter("{http://www.w3.org/2000/svg}text")
    assert shown.text == message
    start, length = float(shown.attrib["x"]), float(shown.attrib["textLength"])
    assert start + length < float(picture.attrib["width"])
    colour = picture.find("{http://www.w3.org/2000/svg}path").attrib["fill"]
    assert (colour == "#2e7d32") is verdict.passes
