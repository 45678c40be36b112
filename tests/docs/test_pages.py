"""What pages and cards say agrees with what is there."""

import json
import re
import runpy
from pathlib import Path

import pytest
import yaml

from docs.pages import PAGES, ROOT
from kddn.inference.models import list_models

WEIGHTS = ROOT / "src/kddn/weights"
TEACHER = ROOT / "src/kddn/research/weights/teacher.md"
MODELS = [model.name for model in list_models() if model.path]

SECTIONS = (
    "Model details",
    "Uses",
    "Bias, risks and limitations",
    "How to get started",
    "Training details",
    "Evaluation",
    "Environmental impact",
)
"""Of a model card, as the Hugging Face hub has them."""


def card(path):
    """A card's front matter and its text."""
    _, front, text = path.read_text().split("---\n", 2)
    return yaml.safe_load(front), text


@pytest.mark.parametrize("path", [TEACHER, *WEIGHTS.glob("*.md")], ids=lambda path: path.stem)
def test_a_card_has_what_cards_have(path):
    front, text = card(path)
    for key in ("license", "library_name", "pipeline_tag", "tags", "datasets", "metrics"):
        assert front[key]
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS


@pytest.mark.parametrize("name", MODELS)
def test_a_card_says_of_the_network_what_the_weights_say(name):
    _, text = card(WEIGHTS / f"{name}.md")
    told = json.loads((WEIGHTS / f"{name}.json").read_text())
    assert f"{told['parameters']:,} parameters" in text
    assert f"{told['working_size']} pixels" in text
    assert f"--model {name}" in text


@pytest.mark.parametrize("name", MODELS)
def test_a_card_is_a_page(name):
    assert f"cards/{name}.md" in (ROOT / "mkdocs.yml").read_text()
    assert f"{name}.md:card" in (ROOT / f"docs/cards/{name}.md").read_text()
    assert f"(cards/{name}.md)" in (ROOT / "docs/models.md").read_text()


def test_the_readme_quotes_the_results():
    quote = runpy.run_path(str(ROOT / "benchmarks/quote.py"))["quoted"]
    page = (ROOT / "README.md").read_text()
    assert quote(page) == page
    assert quote("<!-- quote: LICENSE -->\nold\n<!-- end of quote -->").count("Apache License") > 1


_LINK = re.compile(r"\]\((?!https?:|#|<)([^)#\s]+)(?:#([^)\s]+))?\)")


@pytest.mark.parametrize("page", [p for p in PAGES if not p.startswith("docs/")])
def test_links_of_pages_that_are_not_built_lead_somewhere(page):
    """`make docs` checks those of the site, anchors among them."""
    path = ROOT / page
    for target, _ in _LINK.findall(path.read_text()):
        assert (path.parent / target).exists(), target


def test_every_page_is_in_the_navigation():
    said = (ROOT / "mkdocs.yml").read_text()
    for path in Path(ROOT / "docs").rglob("*.md"):
        assert str(path.relative_to(ROOT / "docs")) in said, path
