PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check bench powercuts kills clean

run: $(VENV)/.installed
	$(BIN)/geoengine serve --config config

test: $(VENV)/.tested
	$(BIN)/python -m pytest

check: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_rooms.py

# Hours of faults in minutes: power cuts under the state, kill -9 under the service.
powercuts: $(VENV)/.tested
	$(BIN)/python -m tests.faults.power_cuts --rounds 200

kills: $(VENV)/.tested
	$(BIN)/python -m tests.faults.kills --rounds 200
	$(BIN)/python -m tests.faults.kill_service --rounds 200

bench: $(VENV)/.tested
	$(BIN)/python benchmarks/bench_match.py
	$(BIN)/python benchmarks/bench_state.py
	$(BIN)/python benchmarks/bench_replay.py
	$(BIN)/python benchmarks/bench_service.py

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.tested: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.installed
