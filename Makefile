# The one door to everything; CI uses the same targets.

PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
STAMP := .venv/.synchronised
RUNNERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check fix unit integration acceptance simulate model model-deep bench bench-connect bench-replication bench-handover chaos docs clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv sync --quiet --locked --inexact --all-extras
	@touch $@

demo: $(STAMP) ## Show the whole system at work, on a private stack, in under two minutes
	@$(BIN)/tenant-connect demo

test: check ## Everything: checks, unit, integration on real Kafka and PostgreSQL, acceptance
	@$(BIN)/python -m pytest -n $(RUNNERS) --dist loadfile --ignore tests/chaos
	@$(BIN)/python -m pytest tests/chaos

check: $(STAMP) ## Formatting, lint, types, layers, generated files
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m tests.generated --check

fix: $(STAMP) ## Format, and mend what can be mended by itself
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

unit: $(STAMP) ## The tests that need neither Kafka nor PostgreSQL
	@$(BIN)/python -m pytest tests/unit

integration: $(STAMP) ## The tests on real Kafka and PostgreSQL
	@$(BIN)/python -m pytest tests/integration

acceptance: $(STAMP) ## The tests through the installed command
	@$(BIN)/python -m pytest tests/acceptance

simulate: $(STAMP) ## Run the protocol in simulated worlds: SEEDS=100 STEPS=6000 FIRST=1, or SEED=17 alone with its schedule
	@$(BIN)/python -m tests.simulation $(if $(SEEDS),--seeds $(SEEDS)) $(if $(STEPS),--steps $(STEPS)) \
	  $(if $(FIRST),--first $(FIRST)) $(if $(SEED),--seed $(SEED)) $(if $(WITHOUT),--without $(WITHOUT)) \
	  $(if $(BROKEN),--broken "$(BROKEN)")

model: $(STAMP) ## Explore the models of ownership, and refute every rule left out; STORY=NO_CONTIGUITY tells one way (needs spin, gcc)
	@$(BIN)/python -m tests.model --json .cache/model.json $(if $(STORY),--story $(STORY))

model-deep: $(STAMP) ## The same models in larger sizes, within half an hour
	@$(BIN)/python -m tests.model --deep --json .cache/model-deep.json

bench: $(STAMP) ## Measure against stock Faust on the same broker, as a table and as JSON
	@$(BIN)/python -m tests.bench --json .cache/bench.json

bench-connect: $(STAMP) ## Measure connecting and holding a thousand tenants, beside a bare script
	@$(BIN)/python -m tests.bench.connect --json .cache/bench-connect.json

bench-replication: $(STAMP) ## Measure streaming rows of one tenant beside pg_recvlogical, and of two hundred
	@$(BIN)/python -m tests.bench.replication --json .cache/bench-replication.json
	@$(BIN)/python -m tests.bench.replication many --json .cache/bench-replication-many.json

chaos: $(STAMP) ## Pull real plugs under load and judge what is left: ROUNDS=12 SEED=1, ONLY=F1,F3 for some kinds (needs Go and root; ALLOW_LEFT_OUT=1 without)
	@$(BIN)/python -m tests.chaos --json .cache/chaos.json $(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	  $(if $(ONLY),--only $(ONLY)) $(if $(ALLOW_LEFT_OUT),--allow-left-out)

bench-handover: $(STAMP) ## Measure how long commands wait while workers join, leave, restart and die, beside stock Faust
	@$(BIN)/python -m tests.bench.handover --json .cache/bench-handover.json
	@$(BIN)/python -m tests.bench.handover crash --json .cache/bench-handover-crash.json

docs: $(STAMP) ## Generate the diagrams, the tables of settings and errors, and the schemas
	@$(BIN)/python -m tests.generated

clean: ## Remove what was made here; downloads stay in the cache
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
