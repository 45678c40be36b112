"""What CI and the container install is pinned with hashes, and is what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {
    "container": ("serve", "high-bit-depth", "heic"),
    "dev": ("train", "dev"),
    "docs": ("docs",),
}


def asked_for(extra: str) -> list[Requirement]:
    """What an extra installs, other extras' among it."""
    lines = [Requirement(line) for line in EXTRAS[extra]]
    ours = [other for line in lines if line.name == "kddn" for other in line.extras]
    rest = [line for line in lines if line.name != "kddn"]
    return rest + [line for other in ours for line in asked_for(other)]


def locked(name: str) -> dict[str, str]:
    """Versions by package; each with its hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+)(.*(?:\n    --hash=.*)*)", text, re.MULTILINE)
    assert entries
    assert all("--hash=sha256:" in rest for *_, rest in entries)
    return {package: version for package, version, _ in entries}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_all_that_is_asked_for(name):
    versions = locked(name)
    always = map(Requirement, PROJECT["dependencies"])
    for requirement in (*always, *(line for extra in LOCKS[name] for line in asked_for(extra))):
        package = canonicalize_name(requirement.name)
        if package != "torch":  # see constraints.txt
            assert package in versions, "pyproject.toml has changed: make lock"
            assert versions[package] in requirement.specifier, "make lock"


def test_what_builds_the_package_is_locked():
    for line in (ROOT / "requirements/build.in").read_text().splitlines()[1:]:
        requirement = Requirement(line)
        for name in ("build", "dev", "docs"):
            assert locked(name)[requirement.name] in requirement.specifier


def test_neither_torch_nor_what_its_other_build_needs_is_in_a_lock():
    for name in LOCKS:
        unwanted = re.compile("(.*(nvidia|cuda|triton).*|torch|torchvision)")
        assert not [package for package in locked(name) if unwanted.fullmatch(package)]


def test_the_makefile_and_the_image_install_by_hash():
    for file, lock in {"Makefile": "dev", "Dockerfile": "container"}.items():
        pattern = rf"--require-hashes --no-deps -r \S*/{lock}.txt"
        assert re.search(pattern, (ROOT / file).read_text())
