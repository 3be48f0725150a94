# Each target makes .venv itself when it is missing or out of date. Needs Python >= 3.11 with venv, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test slow lint types docs bench study clean

demo: $(READY) ## train on real digits with the callback; table, TensorBoard logs, one picture
	$(BIN)/python codelabs/first_light.py

test: $(READY) ## the fast tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

slow: $(READY) ## statistical studies, packaging, the demo itself
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow and not study"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## on the built wheel, as a user's type checker sees it
	rm -rf build && mkdir -p build/types
	$(BIN)/pip install --quiet --no-deps --target build/types .
	cd build/types && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p privacy_callbacks

docs: $(READY) ## the documentation as a site in build/site; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/doctrees docs build/site

bench: $(READY) ## costs as ratios, measured side by side
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/ranges.py
	$(BIN)/python benchmarks/privacy_tab.py
	$(BIN)/python benchmarks/epsilon.py
	$(BIN)/python benchmarks/command_line.py
	$(BIN)/python benchmarks/parity.py

study: $(READY) ## how strong each attack is, on two data sets, and a hundred interruptions; about an hour
	$(BIN)/python benchmarks/power.py
	$(BIN)/python benchmarks/power_curve.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/shadow_heads.py
	$(BIN)/python benchmarks/ranges.py --study
	$(BIN)/python benchmarks/epsilon.py --study
	$(BIN)/python -m pytest -n 2 --dist worksteal -m study
	KILLS=100 $(BIN)/python -m pytest -m "slow and not study" tests/attacks/test_interrupted_fleets.py tests/test_faults_by_kills.py

$(READY): requirements-dev.txt setup.py pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python >= 3.11 is needed; name one with PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps 'tf-keras>=2.21,<2.22' 'tensorflow-probability>=0.25'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info logs demo codelab_dp_audit codelab_unlearning
