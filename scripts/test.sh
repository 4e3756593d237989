#!/bin/sh
# Everything that must hold before a change lands. Ends with one line of totals over all test binaries.
set -eu
cd "$(dirname "$0")/.."

cargo fmt --all --check
cargo clippy --release --workspace --all-targets --quiet -- -D warnings
# The program that `make demo` builds.
cargo clippy --release --package vigorl --no-default-features --all-targets --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --document-private-items --quiet

# What is ignored needs root: a display of two monitors is an X server with a configuration of its own.
too=
if [ "$(id -u)" = 0 ]; then too=--include-ignored; fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A pipe hides the status of cargo, so it travels in a file.
{
    status=0
    cargo test --release --package vigorl --no-default-features --test without_parts 2>&1 || status=$?
    cargo test --release --workspace --no-fail-fast -- $too 2>&1 || status=$?
    echo "$status" >"$log.status"
} | tee "$log"
status=$(cat "$log.status")
rm -f "$log.status"

awk '/^test result:/ { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1)
     if ($i ~ /^ignored/) n += $(i - 1) } }
     END { printf "%d passed, %d failed", p, f; if (n) printf ", %d not run: they need root", n; print "" }' "$log"
exit "$status"
