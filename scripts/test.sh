#!/bin/sh
# Everything that must hold before a change lands: lints, and every test. Ends with one line of totals over all test binaries.
set -eu
cd "$(dirname "$0")/.."

# What is wrong in a second is said in a second.
cargo fmt --all --check

# What is ignored needs root: a display of two monitors is an X server with a configuration of its own.
too=
if [ "$(id -u)" = 0 ]; then too=--include-ignored; fi

said=$(mktemp -d)
linting=
# Of the lints, what runs at the moment is finished, and nothing more is begun.
end() {
    if [ -n "$linting" ]; then kill "$linting" 2>/dev/null || true; fi
    rm -rf "$said"
}
trap end EXIT
trap 'exit 130' INT TERM

# Tests wait for browsers most of the time: meanwhile lints have the processors, and only then. Cargo does one thing at a time
# in a folder of what it built, so theirs is another one.
CARGO_TARGET_DIR=target/lints nice -n 19 scripts/lint.sh >"$said/lints" 2>&1 &
linting=$!

# Cargo starts each test binary by it.
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export "CARGO_TARGET_${host}_RUNNER=$PWD/scripts/timed.sh"

# A pipe hides the status of cargo, so it travels in a file.
{
    status=0
    cargo test --release --package vigorl --no-default-features --test without_parts 2>&1 || status=$?
    cargo test --release --workspace --no-fail-fast -- $too 2>&1 || status=$?
    echo "$status" >"$said/status"
} | tee "$said/tests"
status=$(cat "$said/status")

lints=0
wait "$linting" || lints=$?
linting=
cat "$said/lints"
if [ "$lints" != 0 ]; then echo "lints failed: see above, or run scripts/lint.sh"; fi

awk '/^test result:/ { for (i = 1; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1)
     if ($i ~ /^ignored/) n += $(i - 1) } }
     END { printf "%d passed, %d failed", p, f; if (n) printf ", %d not run: they need root", n; print "" }' "$said/tests"
if [ "$status" = 0 ]; then status=$lints; fi
exit "$status"
