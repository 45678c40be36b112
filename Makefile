# One command a habit. Each makes the virtual environment that it needs.
PYTHON ?= python3
DEV := .venv
RUN := .venv-demo
DOCS := .venv-docs
NPM := web/node_modules
SOURCES := pyproject.toml constraints.txt

.PHONY: help demo test quick test-web test-cluster lint format page docs clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/	/'

demo: $(RUN)/.made  ## dehaze a photograph with the built-in weights
	$(RUN)/bin/pip install -q --no-deps --force-reinstall .
	$(RUN)/bin/kddn dehaze demo/aitzgorri.jpg --compare --overwrite

test: $(DEV)/.made lint  ## check everything, as CI does
	$(DEV)/bin/pytest

quick: $(DEV)/.made  ## the tests that take less than a minute together
	$(DEV)/bin/pytest -q -m "not slow"

test-web: $(DEV)/.made $(NPM)/.made  ## drive both pages in a browser (apt install chromium-driver)
	$(DEV)/bin/pytest -q -m web

test-cluster: $(DEV)/.made  ## pictures on several machines: Ray and an S3 server on this one
	$(DEV)/bin/pytest -q -m cluster

lint: $(DEV)/.made  ## formatting, style, types, and who may import whom
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/ruff check
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.made  ## format the code and mend what can be mended
	$(DEV)/bin/ruff check --fix
	$(DEV)/bin/ruff format

page: $(DOCS)/.made $(NPM)/.made  ## put the page that needs no server together in build/page
	$(DOCS)/bin/python web/assemble.py build/page

docs: page  ## build the documentation into site/, with that page as site/page
	$(DOCS)/bin/mkdocs build --strict
	cp -r build/page site/page

clean:  ## remove what was made
	rm -rf $(DEV) $(RUN) $(DOCS) $(NPM) site build dist

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

$(NPM)/.made: web/package.json web/package-lock.json
	@command -v npm > /dev/null || { echo "This needs npm, which comes with Node.js (apt install npm)."; exit 1; }
	npm ci --prefix web --ignore-scripts --no-audit --no-fund
	touch $@
