"""Many cases, one after the other: for a short run in CI, and a long one (benchmarks/fuzz.py)."""

import hypothesis
from hypothesis import HealthCheck, Phase, given

from fuzzing.damage import CASES, Case
from fuzzing.worker import Outcome, Worker

BLOCK = 1000
"""Cases that hypothesis is asked for at a time, since it remembers all of them."""


def explore(target: str, count: int, seed: int = 0) -> list[tuple[Case, Outcome]]:
    """Try damaged input, the same for the same seed.

    Args:
        target: A key of `CASES`.
        count: How many cases.
        seed: Those of one have none in common with those of another but by chance.

    Returns:
        Each case with what became of it.
    """
    tried: list[tuple[Case, Outcome]] = []
    with Worker(target) as worker:
        for block in range(0, count, BLOCK):
            most = min(BLOCK, count - block)

            @hypothesis.seed(seed * 1_000_000 + block // BLOCK)
            @hypothesis.settings(
                max_examples=most,
                phases=[Phase.generate],
                database=None,
                deadline=None,
                derandomize=False,
                suppress_health_check=list(HealthCheck),
            )
            @given(CASES[target]())
            def once(case: Case) -> None:
                options = {**case.options, "seed": case.seed}
                tried.append((case, worker.run(case.content, options)))

            once()
    return tried
