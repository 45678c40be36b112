# One command a habit. Each makes the virtual environment that it needs.
PYTHON ?= python3
DEV := .venv
RUN := .venv-demo
DOCS := .venv-docs
SUPPLY := .venv-supply
NPM := web/node_modules
SOURCES := pyproject.toml constraints.txt
LOCKS := requirements
PIP_INSTALL := bin/pip install -q --disable-pip-version-check

.PHONY: help demo test quick test-web test-cluster lint format page docs lock audit sbom licences wheel
.PHONY: clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/	/'

demo: $(RUN)/.made  ## dehaze a photograph with the built-in weights
	$(RUN)/bin/pip install -q --no-deps --force-reinstall .
	$(RUN)/bin/kddn dehaze demo/aitzgorri.jpg --compare --overwrite

test: $(DEV)/.made lint  ## check all but the browser and the cluster
	OMP_NUM_THREADS=1 $(DEV)/bin/pytest -n auto --dist loadfile

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

lock: $(SUPPLY)/.made  ## choose the versions that CI and the container install, with their hashes
	$(LOCK) -o $(LOCKS)/build.txt $(LOCKS)/build.in
	$(LOCK) -o $(LOCKS)/container.txt pyproject.toml --extra serve --extra high-bit-depth --extra heic
	$(LOCK) -o $(LOCKS)/dev.txt pyproject.toml $(LOCKS)/build.in --extra train --extra dev
	$(LOCK) -o $(LOCKS)/docs.txt pyproject.toml $(LOCKS)/build.in --extra docs

LOCK = $(SUPPLY)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" --no-emit-package torch -c constraints.txt \
	--excludes $(LOCKS)/excluded.txt $(UPGRADE)

audit: $(SUPPLY)/.made  ## ask pypi.org for known vulnerabilities of the locked versions
	for lock in build container dev docs; do \
		$(SUPPLY)/bin/pip-audit --strict --require-hashes --disable-pip -r $(LOCKS)/$$lock.txt || exit 1; done

sbom: $(SUPPLY)/.made  ## write what the container is made of as build/sbom.json (CycloneDX)
	mkdir -p build
	$(SUPPLY)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		-o build/sbom.json $(LOCKS)/container.txt

licences: $(DEV)/.made  ## list the licences of all that is installed, and check them
	$(DEV)/bin/pip-licenses
	$(DEV)/bin/pytest -q tests/supply/test_licences.py

wheel: $(DEV)/.made  ## build the wheel into dist/, the same bytes every time
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(DEV)/bin/hatchling build -t wheel

clean:  ## remove what was made
	rm -rf $(DEV) $(RUN) $(DOCS) $(SUPPLY) $(NPM) site build dist

$(DEV)/.made: $(SOURCES) $(LOCKS)/dev.txt
	@echo "Installing what development needs into $(DEV) (a few minutes) ..."
	$(PYTHON) -m venv $(DEV)
	$(DEV)/$(PIP_INSTALL) --require-hashes --no-deps -r $(LOCKS)/dev.txt
	$(DEV)/$(PIP_INSTALL) --no-deps -c constraints.txt torch
	$(DEV)/$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(RUN)/.made: $(SOURCES)
	@echo "Installing kddn into $(RUN) (about 243 MB, no torch) ..."
	$(PYTHON) -m venv $(RUN)
	$(RUN)/$(PIP_INSTALL) .
	touch $@

$(DOCS)/.made: $(SOURCES) $(LOCKS)/docs.txt
	@echo "Installing what the documentation needs into $(DOCS) ..."
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/$(PIP_INSTALL) --require-hashes --no-deps -r $(LOCKS)/docs.txt
	$(DOCS)/$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(SUPPLY)/.made: pyproject.toml
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/$(PIP_INSTALL) -e '.[supply]'
	touch $@

$(NPM)/.made: web/package.json web/package-lock.json
	@command -v npm > /dev/null || { echo "This needs npm, which comes with Node.js (apt install npm)."; exit 1; }
	npm ci --prefix web --ignore-scripts --no-audit --no-fund
	touch $@
