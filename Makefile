# Thin: every line is a command a person could type. `make demo` and `make test` work on a fresh Debian 12
# machine that has Rust and make; what else is missing is installed by `make setup`.

.PHONY: setup setup-tests build demo test lint bench bench-engine bench-train bench-read venv kits parity replay \
        replay-golden replay-golden-write nano

# Says what is missing for a build of every part, and installs it (Debian packages).
setup:
	@scripts/setup.sh build

# The same, and the applications that tests and examples use.
setup-tests:
	@scripts/setup.sh build tests

# The program with every part.
build: setup
	cargo build --release --workspace

# The embedded policy on practice pages in a real headless browser; ends with the report's path. The program that this
# builds has no hub, desktop and trainer: it says so when it is asked for them.
demo:
	@scripts/setup.sh demo
	cargo build --release --package vigorl --no-default-features --features reader
	target/release/vigorl demo

# Formatting, lints and docs with warnings denied, and every test beside them; ends with one line of totals.
test: setup-tests
	@scripts/test.sh

# The first half of it alone.
lint: setup
	@scripts/lint.sh

# A step's overhead besides the model, in a real browser at 1280x800.
bench: build
	target/release/vigorl bench step

# The engine at the sizes of Qwen2.5-VL-3B, with random weights: 7.5 GB under data/, and several minutes.
bench-engine: build
	target/release/vigorl bench engine

# A training step of the embedded policy, beside the same step in torch on the same rows; a few minutes.
bench-train: build venv
	target/release/vigorl bench train --against transformers

# How fast text is read; then the reader's networks, in turns with onnxruntime.
bench-read: build
	target/release/vigorl bench read
	python3 -m venv .venv
	.venv/bin/pip install --quiet onnxruntime numpy
	target/release/vigorl bench read --against onnxruntime

# A Python of its own with torch and transformers, under .venv/.
venv:
	@scripts/setup.sh build venv
	python3 -m venv .venv
	.venv/bin/pip install --quiet --requirement reference/requirements.txt

# Fresh random checkpoints through transformers and through this engine, compared tensor by tensor; then the
# embedded policy's folder, which transformers must load unchanged.
parity: build venv
	.venv/bin/python reference/parity.py --vigorl target/release/vigorl
	.venv/bin/python reference/check_hf_loads.py grounding/qwen/assets/nano --vigorl target/release/vigorl

# 400 episodes with another build of this program and with this one, compared step by step: `make replay OLD=FILE`.
replay: setup-tests
	cargo build --release --workspace
	python3 reference/replay beside $(OLD) target/release/vigorl

# Tasks on other people's pages, each three times: `examples/kits`.
kits: setup
	@scripts/setup.sh build tests kits
	cargo build --release --workspace
	target/release/vigorl run examples/kits/*.yaml --places --parallel 2 --repeat 3

# What this build does, beside the committed lines of prompts, points, actions and verdicts; a part of `make test`.
replay-golden: setup-tests
	cargo build --release --workspace
	python3 reference/replay golden target/release/vigorl

# Writes those lines anew, where a difference is meant. Look at them with `git diff` before they are committed.
replay-golden-write: setup-tests
	cargo build --release --workspace
	python3 reference/replay golden target/release/vigorl --write

# Makes the embedded policies again: data sets, then the training. Hours on two cores.
nano: build
	scripts/nano.sh
