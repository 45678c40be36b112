"""libFuzzer looks for damaged input that reaches further, until some goes wrong.

    pip install atheris
    python benchmarks/fuzz_by_coverage.py pictures -max_total_time=600

Cases are those of benchmarks/fuzz.py, drawn from libFuzzer's bytes; its own options follow.
"""

import sys
from contextlib import suppress
from pathlib import Path

import atheris
from hypothesis import given

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

with atheris.instrument_imports(include=["kddn", "PIL", "tifffile", "starlette"]):
    from fuzzing.damage import CASES, Case
    from fuzzing.targets import NEED_SEED, TARGETS
    from kddn.errors import KddnError


def main() -> None:
    """Run, in this process."""
    program, target, *options = sys.argv

    @given(CASES[target]())
    def once(case: Case) -> None:
        seed = {"seed": case.seed} if target in NEED_SEED else {}
        with suppress(KddnError):
            TARGETS[target](case.content, **case.options, **seed)

    atheris.Setup([program, *options], once.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
