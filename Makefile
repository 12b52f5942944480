# `make demo` and `make test` do all the set-up; they need Python 3.10 to 3.13 and nothing else.
# PYTHON=python3.12 chooses the interpreter, VENV=DIR where packages go, REQUIREMENTS=FILE which.

PYTHON ?= python3
VENV ?= .venv
REQUIREMENTS ?= $(if $(shell command -v nvidia-smi),requirements-gpu.txt,requirements.txt)
RUN = $(VENV)/bin/python

.PHONY: demo test test-deploy test-pages test-all lint clean

demo: $(VENV)/installed
	bash utils/demo.sh $(RUN)

test: $(VENV)/installed-dev
	$(RUN) -m pytest -m "not slow"

test-deploy: $(VENV)/installed-dev
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-deploy.txt
	$(RUN) -m pytest -m "not slow" tests/scripts/test_export_infer.py tests/utils/test_engines.py

test-pages: $(VENV)/installed-dev
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-app.txt
	NEEDS_CHROMIUM=1 $(RUN) -m pytest tests/scripts/test_app.py tests/scripts/test_evaluation_options.py

test-all: $(VENV)/installed-dev
	$(RUN) -m pytest

lint: $(VENV)/installed-dev
	$(RUN) -m ruff check . && $(RUN) -m ruff format --check .

clean:
	rm -rf $(VENV) demo

$(VENV)/installed: $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 10) <= sys.version_info < (3, 14) else "error: Paddle needs Python 3.10 to 3.13, this is " + sys.version.split()[0] + "; choose another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
