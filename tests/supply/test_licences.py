"""Everything that is installed beside this package may be used with it, by its licence."""

import json
import re
import subprocess
import sys

ALLOWED = {
    "0BSD", "3-Clause BSD License", "Apache 2.0", "Apache Software License", "Apache-2.0", "BSD",
    "BSD License", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python",
    "ISC License", "LLVM-exception", "MIT", "MIT License", "MIT-0", "MIT-CMU", "MPL-2.0",
    "Mozilla Public License 2.0", "PSF-2.0", "Python Software Foundation License", "Zlib",
}  # fmt: skip
"""SPDX's names, and those that packages had before."""

NOT_OURS = {"kddn", "atheris"}
"""This package, and what benchmarks/fuzz_by_coverage.py has one install by hand (Apache-2.0)."""


def parts(licence: str) -> set[str]:
    """The licences that SPDX's expression, or a list of names, is made of."""
    if re.search(" AND | OR | WITH ", licence):
        return set(re.split(" AND | OR | WITH ", re.sub("[()]", "", licence)))
    return {re.sub(r" \(.*\)$", "", name) for name in licence.split("; ")}


def test_expressions_are_taken_apart():
    assert parts("MIT AND (Apache-2.0 OR BSD-2-Clause)") == {"MIT", "Apache-2.0", "BSD-2-Clause"}
    assert parts("Apache Software License; ISC License (ISCL)") <= ALLOWED
    assert not parts("MIT AND GPL-3.0-only") <= ALLOWED


def test_all_licences_are_allowed():
    command = [sys.executable, "-m", "piplicenses", "--format=json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    packages = {each["Name"]: each["License"] for each in json.loads(told.stdout)}
    assert len(packages) > 100
    others = {name: each for name, each in packages.items() if not parts(each) <= ALLOWED}
    assert others.keys() <= NOT_OURS, others
