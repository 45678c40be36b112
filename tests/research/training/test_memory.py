"""Freed memory is kept."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PAGES = """
import resource, torch
from kddn.research.training.memory import keep_freed_memory
def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(12 << 20)  # 48 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(new_pages(), keep_freed_memory(), new_pages(), new_pages())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")
def test_tensors_are_made_of_pages_that_are_there_already():
    printed = subprocess.run(
        [sys.executable, "-c", PAGES], check=True, capture_output=True, text=True
    ).stdout
    fetched, kept, _, then = printed.split()
    if kept == "False":
        pytest.skip("another libc")
    assert int(then) < int(fetched) / 4
