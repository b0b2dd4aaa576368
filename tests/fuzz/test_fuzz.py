"""The short form of the fuzzer, and the changes it makes. The long form is `make test-fuzz`."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz import mutations
from tests.fuzz.fuzz_run import fuzz_run

DOCUMENT = {"a": {"b": [1, {"c": "d"}]}, "e": None}


async def test_whatever_is_sent_is_acknowledged_and_touches_nobody_elses_session(tmp_path: Path) -> None:
    """Some hundred changed envelopes, worker calls and webhooks, by people who may do nothing here, or little."""
    outcome = await fuzz_run(11, 300, tmp_path)
    assert not outcome.faults, str(outcome)
    assert outcome.cases.total() == 300
    assert outcome.answers["acknowledged"] == 210


def test_every_place_is_changed_in_every_way() -> None:
    """Missing, null, another type, huge; and the document itself stays as it is."""
    places = list(mutations.paths(DOCUMENT))
    assert places == [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1), ("a", "b", 1, "c"), ("e",)]
    made = list(mutations.every_single(DOCUMENT))
    assert len(made) == 6 * len(places)
    assert {"a": {"b": [1, {}]}, "e": None} in made
    assert {"a": {"b": [1]}, "e": None} in made
    assert DOCUMENT == {"a": {"b": [1, {"c": "d"}]}, "e": None}
    rng = random.Random(1)
    assert any("forged" in repr(mutations.some(DOCUMENT, rng, ("forged",))) for _ in range(50))
