"""Damaged input of every kind is done, or refused in one line, in bounded time and memory.

The long run, and its table in docs/security.md: benchmarks/fuzz.py.
"""

import pytest

from fuzzing.explore import explore
from fuzzing.worker import Worker

BOUND = 64 << 20
"""Bytes by which a process may grow for an input of at most a million pixels."""

COUNTS = {"pictures": 300, "requests": 120, "videos": 60, "models": 40, "checkpoints": 80}


@pytest.mark.parametrize("target", COUNTS)
def test_what_is_damaged_is_done_or_refused(target):
    tried = explore(target, COUNTS[target])
    assert len(tried) == COUNTS[target]
    assert [(case, outcome) for case, outcome in tried if outcome.bad] == []
    kinds = {outcome.kind for _, outcome in tried}
    assert "refused" in kinds
    assert "done" in kinds or target == "models"  # nearly all damage of theirs is seen
    assert max(outcome.memory for _, outcome in tried) < BOUND


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"die", "crash"), (b"sleep", "hang"), (b"raise", "fault"), (b"grow", "fault")],
)
def test_what_is_bad_is_seen(content, kind, monkeypatch):
    if kind == "hang":  # a crash may take longer, where it is written down
        monkeypatch.setattr("fuzzing.worker.SECONDS", 1.0)
    with Worker("itself") as worker:
        outcome = worker.run(content, {})
        assert (outcome.kind, outcome.bad) == (kind, True)
        monkeypatch.undo()
        assert worker.run(b"", {}).kind == "done"
