# One command a habit. Each makes the virtual environment that it needs.
PYTHON ?= python3
DEV := .venv
RUN := .venv-demo
DOCS := .venv-docs
SOURCES := pyproject.toml constraints.txt

.PHONY: help demo test quick lint format docs clean

help:  ## say what there is
	@grep -hE '^[a-z]+:.*##' Makefile | sed 's/:.*##/	/'

demo: $(RUN)/.made  ## dehaze a photograph with the built-in weights
	$(RUN)/bin/pip install -q --no-deps --force-reinstall .
	$(RUN)/bin/kddn dehaze demo/aitzgorri.jpg --compare --overwrite

test: $(DEV)/.made lint  ## check everything, as CI does
	$(DEV)/bin/pytest

quick: $(DEV)/.made  ## the tests that take less than a minute together
	$(DEV)/bin/pytest -q -m "not slow"

lint: $(DEV)/.made  ## formatting, style, types, and who may import whom
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/ruff check
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.made  ## format the code and mend what can be mended
	$(DEV)/bin/ruff check --fix
	$(DEV)/bin/ruff format

docs: $(DOCS)/.made  ## build the documentation into site/
	$(DOCS)/bin/mkdocs build --strict

clean:  ## remove what was made
	rm -rf $(DEV) $(RUN) $(DOCS) site build dist

$(DEV)/.made: $(SOURCES)
	@echo "Installing what development needs into $(DEV) (a few minutes) ..."
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	touch $@

$(RUN)/.made: $(SOURCES)
	@echo "Installing kddn into $(RUN) (about 237 MB, no torch) ..."
	$(PYTHON) -m venv $(RUN)
	$(RUN)/bin/pip install -q --disable-pip-version-check .
	touch $@

$(DOCS)/.made: $(SOURCES)
	@echo "Installing what the documentation needs into $(DOCS) ..."
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@
