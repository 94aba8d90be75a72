# All that people and .ci/run call. On a fresh machine with Rust, a C compiler
# and Python 3.11, each target does its own further set-up.
#
#   make demo              the demo, then serve on (make demo ARGS=--once ends)
#   make test              every test: Rust, then clients against the binary: Python, and where
#                          they are installed Java (with Maven) and Go
#   make prove SECONDS=600 the proof, for as long as one likes; SEED=n for the same again
#   make hostile SECONDS=600  hostile clients against a server; SEED=n for the same again
#   make slt               all of DataFusion's own SQL tests over the wire; FILES=regex for some
#   make mutants           plants faults in the walls and asks that the tests see them
#   make lint              formatting, clippy, rustdoc, licences
#   make bench SF=1         TPC-H through weft and its peers, side by side (built as for shipping)
#   make bench-load SF=1    what holds when many ask at once, for SECONDS=600
#   make bench-growth       what more files, products and grants cost
#   make bench-policy      what 100,000 grants cost to load and decide (criterion)
#   make bench-engine      what planning with a seal and encoding a result cost (criterion)
#   make demo-data         write testdata/demo's files again

CARGO ?= cargo
PYTHON ?= python3
ARGS ?=

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
VENV := $(TARGET_DIR)/python-tests
REQUIREMENTS := tests/python/requirements.txt
# An old ADBC driver, apart from the newest.
OLD_ADBC_VENV := $(TARGET_DIR)/python-tests-old-adbc
BENCH_VENV := $(TARGET_DIR)/bench-tpch
OLD_ADBC_REQUIREMENTS := tests/python/requirements-old-adbc.txt
WEFT_BIN = $(abspath $(TARGET_DIR))/debug/weft
# With the tests, so that the demo and the tests share one build of the engine:
# without them its features differ, and all of it would be built twice.
BUILD := $(CARGO) build --locked --workspace --bins --tests

.PHONY: demo test test-rust test-python prove hostile slt mutants lint bench bench-load bench-growth bench-policy bench-engine demo-data

demo:
	$(BUILD)
	"$(WEFT_BIN)" demo $(ARGS)

test: test-rust test-python

test-rust:
	$(CARGO) test --workspace --locked --no-fail-fast

test-python: $(VENV)/ready $(OLD_ADBC_VENV)/ready
	$(BUILD)
	WEFT_BIN="$(WEFT_BIN)" WEFT_OLD_ADBC_PYTHON="$(abspath $(OLD_ADBC_VENV))/bin/python" \
	"$(VENV)/bin/python" -m pytest tests/python -q -p no:cacheprovider $(PYTEST_ARGS)

SECONDS ?= 600
SEED ?=

prove:
	WEFT_PROVE_SECONDS=$(SECONDS) $(if $(SEED),WEFT_PROVE_SEED=$(SEED)) \
	$(CARGO) test --workspace --locked --test it proof:: -- --nocapture

# Hostile clients, for as long.
hostile:
	WEFT_HOSTILE_SECONDS=$(SECONDS) $(if $(SEED),WEFT_HOSTILE_SEED=$(SEED)) \
	$(CARGO) test --workspace --locked --test it hostile:: -- --nocapture

FILES ?= .

slt:
	WEFT_SLT_FILES='$(FILES)' $(CARGO) test --workspace --locked --test it slt:: -- --nocapture

MUTANTS ?=

mutants:
	CARGO="$(CARGO)" $(PYTHON) tests/mutants/run.py $(MUTANTS)

# Made anew whenever the requirements change.
$(VENV)/ready: $(REQUIREMENTS)
$(OLD_ADBC_VENV)/ready: $(OLD_ADBC_REQUIREMENTS)
$(BENCH_VENV)/ready: benches/tpch/requirements.txt
$(VENV)/ready $(OLD_ADBC_VENV)/ready $(BENCH_VENV)/ready:
	$(PYTHON) -m venv --clear "$(@D)"
	"$(@D)/bin/python" -m pip install --quiet --disable-pip-version-check -r $<
	touch "$@"

# A tool that is not installed is named and passed over.
lint:
	@if $(CARGO) fmt --version >/dev/null 2>&1; then $(CARGO) fmt --all --check; \
	else echo "lint: rustfmt is not installed (rustup component add rustfmt): passed over"; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then $(CARGO) clippy --workspace --all-targets --locked -- -D warnings; \
	else echo "lint: clippy is not installed (rustup component add clippy): passed over"; fi
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --document-private-items --quiet
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --log-level warn check; \
	else echo "lint: cargo-deny is not installed (cargo install cargo-deny): passed over"; fi

SF ?= 1

bench: $(BENCH_VENV)/ready
	$(CARGO) build --locked --profile dist --bin weft
	CARGO_TARGET_DIR="$(abspath $(TARGET_DIR))" $(CARGO) build --locked --profile dist --manifest-path benches/flight/Cargo.toml
	WEFT_BIN="$(abspath $(TARGET_DIR))/dist/weft" "$(BENCH_VENV)/bin/python" benches/tpch/bench.py \
	--scale $(SF) --output "$(abspath $(TARGET_DIR))/bench/sf$(SF)" --bare-flight "$(TARGET_DIR)/dist/bare-flight" $(ARGS)

bench-load: $(BENCH_VENV)/ready
	$(CARGO) build --locked --profile dist --bin weft
	WEFT_BIN="$(abspath $(TARGET_DIR))/dist/weft" "$(BENCH_VENV)/bin/python" benches/tpch/load.py \
	--scale $(SF) --seconds $(SECONDS) --output "$(abspath $(TARGET_DIR))/bench/sf$(SF)" $(ARGS)

bench-growth: $(BENCH_VENV)/ready
	$(CARGO) build --locked --profile dist --bin weft
	WEFT_BIN="$(abspath $(TARGET_DIR))/dist/weft" "$(BENCH_VENV)/bin/python" benches/tpch/growth.py \
	--output "$(abspath $(TARGET_DIR))/bench/growth" $(ARGS)

# Of its own workspace, so that it never changes what the engine is built with.
bench-policy:
	$(CARGO) bench --locked --manifest-path benches/policy/Cargo.toml

bench-engine:
	$(CARGO) bench --locked --manifest-path benches/engine/Cargo.toml

demo-data: $(VENV)/ready
	"$(VENV)/bin/python" testdata/demo/generate.py
