# Each goal makes the virtual environment it needs, and remakes it only when what is installed in
# it has changed. Another interpreter: make PYTHON=python3.12 demo
PYTHON ?= python3
PIP_INSTALL := -m pip install -q --disable-pip-version-check
CHECK_PYTHON := $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	"foveate needs Python 3.11 or later; say which: make PYTHON=python3.12 ...")'
SOURCES := $(shell find src -type f -not -path '*/__pycache__/*')

.PHONY: help demo test check lint docs clean
.DELETE_ON_ERROR:

help:
	@echo "make demo   install without torch, detect small objects in a sample picture"
	@echo "make test   install everything, run every test"
	@echo "make check  what CI runs: format, lint, types, layers, tests"
	@echo "make docs   write the generated pages and tables again"
	@echo "make clean  remove the virtual environments and what they left"

demo: .venv-demo/installed
	.venv-demo/bin/foveate demo --out out/demo

test: .venv/installed
	@env -u VIRTUAL_ENV scripts/test

check: .venv/installed
	@env -u VIRTUAL_ENV scripts/check

lint: .venv/installed
	@env -u VIRTUAL_ENV scripts/lint

docs: .venv/installed
	@env -u VIRTUAL_ENV scripts/docs

.venv-demo/installed: pyproject.toml $(SOURCES)
	@$(CHECK_PYTHON)
	@echo "Installing foveate, without torch, into .venv-demo (about 360 MB)"
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(PIP_INSTALL) .
	@touch $@

.venv/installed: pyproject.toml
	@$(CHECK_PYTHON)
	@echo "Installing foveate with torch and the test tools into .venv (6 GB; some minutes)"
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) -e '.[train,raster,video,remote,ray,dev]' 'supervision>=0.31' pydeprecate
	@# By itself: its opencv-python would overwrite the files of the headless one.
	.venv/bin/python $(PIP_INSTALL) --no-deps 'trackers>=2.6'
	@touch $@

clean:
	rm -rf .venv .venv-demo out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
