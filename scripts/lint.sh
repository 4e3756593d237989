#!/bin/sh
# Formatting, lints and docs, with warnings denied.
set -eu
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --release --workspace --all-targets --quiet -- -D warnings
# The program that `make demo` builds.
cargo clippy --release --package vigorl --no-default-features --all-targets --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --document-private-items --quiet
