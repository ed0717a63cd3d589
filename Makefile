PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What an installation is made of; a change of it installs anew, and what was compiled goes first.
MADE_OF := pyproject.toml setup.py $(wildcard geoengine/core/*/*.[ch])
COMPILED := geoengine/core/*/*.so

# Tests that count processes, start Clusters or fill the disk come after all others.
ALONE := tests/catalog/test_keeping.py tests/servers tests/faults tests/benchmarks tests/whole

# What `make load` sends, and for how long.
RUN_S ?= 120
PHONES ?= 2000
GATEWAYS ?= 20
CRMS ?= 5
TILLS ?= 5
PACE ?= 1
LOAD ?=

.PHONY: run test check bench load rival powercuts kills faults fuzz clean

run: $(VENV)/.installed
	$(BIN)/geoengine serve --config config

# Three at once on two cores: tests of servers wait about as long as they work.
test: $(VENV)/.tested
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ALONE)

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

# What happens to a state that processes share: they and the servers die, answers get lost, networks
# part. About half an hour; the last needs root, for networks of its own.
faults: $(VENV)/.tested
	$(BIN)/python -m tests.faults.shared.kill_worker --rounds 100
	$(BIN)/python -m tests.faults.shared.restart_server --rounds 100
	$(BIN)/python -m tests.faults.shared.stop_race --rounds 100
	$(BIN)/python -m tests.faults.shared.lost_replies --rounds 200
	$(BIN)/python -m tests.faults.shared.kill_master --rounds 100
	$(BIN)/python -m tests.faults.shared.partition --rounds 100
	$(BIN)/python -m tests.faults.cap_race --rounds 10000

# A million spoiled messages for each decoder of clients and gateways: about an hour.
fuzz: $(VENV)/.tested
	$(BIN)/python -m tests.faults.decoders --rounds 1000000

bench: $(VENV)/.tested
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python benchmarks/bench_match.py
	$(BIN)/python benchmarks/bench_step.py
	$(BIN)/python benchmarks/bench_growth.py
	$(BIN)/python benchmarks/bench_state.py
	$(BIN)/python benchmarks/bench_start.py
	$(BIN)/python benchmarks/bench_replay.py
	$(BIN)/python benchmarks/bench_service.py
	$(BIN)/python benchmarks/bench_last_fix.py
	$(BIN)/python benchmarks/bench_shared.py
	$(BIN)/python benchmarks/bench_shares.py
	$(BIN)/python benchmarks/bench_sizes.py
	$(BIN)/python benchmarks/bench_ranging.py
	$(BIN)/python benchmarks/bench_gateways.py
	$(BIN)/python benchmarks/bench_gateway_service.py
	$(BIN)/python benchmarks/bench_mqtt.py
	$(BIN)/python benchmarks/bench_stream.py
	$(BIN)/python benchmarks/bench_regions.py
	$(BIN)/python benchmarks/bench_reaches.py
	$(BIN)/python benchmarks/bench_lift.py
	$(BIN)/python benchmarks/bench_visits.py
	$(BIN)/python benchmarks/bench_report.py

# Phones, gateways, a CRM and tills against a fresh service; fails where the two sides' counts differ.
load: $(VENV)/.loaded
	$(BIN)/python benchmarks/load.py --seconds $(RUN_S) --pace $(PACE) \
		--phones $(PHONES) --gateways $(GATEWAYS) --crms $(CRMS) --tills $(TILLS) $(LOAD)

# The same workload through us and through the tile38-server on the PATH, in alternation.
rival: $(VENV)/.installed
	$(BIN)/python benchmarks/bench_tile38.py

clean:
	rm -rf $(VENV) build dist *.egg-info $(COMPILED)

$(VENV)/.installed: $(MADE_OF)
	rm -f $(COMPILED)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.tested: $(MADE_OF)
	rm -f $(COMPILED)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.loaded: $(MADE_OF)
	rm -f $(COMPILED)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[load]'
	@touch $@ $(VENV)/.installed
