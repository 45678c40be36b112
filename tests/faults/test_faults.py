"""Faults while a batch runs: nothing half done under its name, nothing lost, nothing left behind.

More runs of each, and the table in docs/security.md: benchmarks/fault_injection.py.
"""

import pytest

from faults.batch import Batch
from faults.inject import FAULTS, unmounted

pytestmark = pytest.mark.slow

PICTURES = 16


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_whole_results_and_all_pictures(tmp_path, fault):
    batch = Batch(tmp_path, PICTURES)
    with unmounted(batch):
        try:
            fault.happen(batch)
        except NotImplementedError as error:
            pytest.skip(str(error))
        found = batch.outcome()
    done = fault.late and found.status == 0 and found.whole == PICTURES
    assert found.status in fault.statuses or done
    assert (found.partial, found.lost, found.tracebacks, found.left_after) == (0, 0, 0, 0)
    if fault.complete:
        assert found.whole_after == PICTURES
