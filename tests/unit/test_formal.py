"""``make formal``: a proof and its twin, and what happens when a proof cannot be had."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rtl import icu_queue
from rtl.counters import Counters
from tb.formal import __main__ as formal
from tb.formal import engine
from tb.formal.bench import Bench
from tb.formal.engine import Outcome
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tb.formal.proofs import PROOFS
from tsp.errors import InputError

FIFO = next(proof for proof in PROOFS if proof.name == "queue-fifo")
BUG = Bug("rtl.stream", "RESIDUES = 4", "RESIDUES = 5")


@pytest.fixture(autouse=True)
def build(monkeypatch, tmp_path):
    monkeypatch.setenv("TSP_BUILD", str(tmp_path))
    return tmp_path


def proof_of(claim, depth=1):
    """A proof about nothing but the bench's own signals."""
    return Proof(name="own", block="none", claim="own", build=lambda rtl: Bench(claim), bug=BUG, depth=depth)


def test_a_proof_holds_and_its_twin_does_not(build):
    done = CliRunner().invoke(formal.main, ["--proof", "queue-fifo", "--jobs", "2"])
    assert done.exit_code == 0, done.output
    assert "1 of 1 proofs hold, and fail with their bug" in done.output
    report = json.loads((build / "reports" / "formal.json").read_text())
    assert (report["proved"], report["total"]) == (1, 1)
    (row,) = report["rows"]
    assert (row["name"], row["block"], row["depth"]) == ("queue-fifo", "icu_queue", FIFO.depth)
    assert row["result"] == "proved" and row["claim"] and row["seconds"] > 0
    # The bug breaks a claim, not an invariant: those come after line 45.
    assert row["twin"]["result"] == "refuted" and row["twin"]["detail"].startswith("fifo.py, line 2")


def test_what_does_not_hold_is_refuted_where_it_stands():
    def build(bench):
        bench.claim(bench.free(8, "number") != 200)

    outcome = engine.decide(proof_of(build, depth=2), twin=False, timeout=60)
    assert outcome.result == "refuted" and outcome.detail.startswith("test_formal.py, line ")


def test_what_holds_for_a_time_only_is_not_proved():
    def build(bench):
        bench.claim(~bench.before(bench.before(bench.free(1, "any"), "one"), "two"))

    # From reset it takes three cycles to break; the base case of depth 1 does not get there.
    outcome = engine.decide(proof_of(build), twin=False, timeout=60)
    assert outcome.result == "undecided"


def test_a_proof_that_takes_too_long_is_not_proved(monkeypatch, build):
    def hard(bench):
        # That this number is prime.
        a, b = (bench.free(32, name) for name in "ab")
        bench.claim((a * b != (1 << 61) - 1) | (a == 1) | (b == 1))

    outcome = engine.decide(proof_of(hard), twin=False, timeout=1)
    assert outcome.result == "timed out"
    outcomes = {("own", False): outcome, ("own", True): Outcome("refuted", 1.0)}
    report = formal.report([proof_of(hard)], outcomes)
    assert (report["proved"], report["total"]) == (0, 1)


@pytest.mark.parametrize("own", ["proved", "refuted", "undecided", "timed out", "error"])
@pytest.mark.parametrize("twin", ["refuted", "passed", "undecided", "timed out", "error"])
def test_only_a_proof_whose_twin_is_refuted_counts(own, twin, monkeypatch, build):
    outcomes = {(FIFO.name, False): Outcome(own, 1.0), (FIFO.name, True): Outcome(twin, 1.0)}
    monkeypatch.setattr(formal, "run", lambda *arguments: outcomes)
    done = CliRunner().invoke(formal.main, ["--proof", FIFO.name])
    good = (own, twin) == ("proved", "refuted")
    assert done.exit_code == (0 if good else 1), done.output
    assert json.loads((build / "reports" / "formal.json").read_text())["proved"] == int(good)


def test_without_z3_there_is_a_sentence(monkeypatch, tmp_path):
    which = engine.shutil.which
    monkeypatch.setattr(engine.shutil, "which", lambda name, path: None if name == "z3" else which(name, path=path))
    done = CliRunner().invoke(formal.main, [])
    assert done.exit_code == 2
    assert done.output.startswith("error: z3 is not installed; type: ") and done.output.endswith("install z3-solver\n")
    assert done.output.count("\n") == 1


def test_an_unknown_proof_is_named():
    with pytest.raises(InputError, match="no proof 'queue-fofi'.*did you mean 'queue-fifo'"):
        formal.chosen(["queue-fofi"])


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_every_bug_fits_the_rtl_once_and_changes_what_is_proved(proof):
    assert proof.name == proof.name.lower() and " " not in proof.name and proof.claim and proof.block
    # RuntimeError if the RTL's text has changed.
    with_bug = engine.label(engine.verilog.to_rtlil(proof.bench(twin=True), "bench"))
    good = proof.build(Rtl())
    good.with_invariants = False
    assert engine.label(engine.verilog.to_rtlil(good, "bench")) != with_bug


def test_names_are_told_apart():
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)


def test_a_bug_that_does_not_fit_is_an_error():
    for bug, count in ((Bug("rtl.icu_queue", "no such text", ""), 0), (Bug("rtl.icu_queue", "self", ""), "[0-9]+")):
        with pytest.raises(RuntimeError, match=f"stands there {count} times"):
            Rtl(bug)("rtl.icu_queue")


def test_a_bug_reaches_what_imports_its_module():
    with_bug = Rtl(Bug("rtl.counters", "self.carry.eq(sum_[-1])", "self.carry.eq(0)"))
    assert with_bug("rtl.icu_control").Counters is with_bug("rtl.counters").Counters is not Counters
    assert Rtl()("rtl.icu_queue") is icu_queue and icu_queue.PREFETCH_CYCLES == 3


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_the_document_says_what_is_proved(proof):
    text = (Path(__file__).parents[2] / "docs" / "verification.md").read_text()
    assert f"| `{proof.name}` | `{proof.block}` | {proof.claim} | {proof.reduced} | {proof.assumed} |" in text
