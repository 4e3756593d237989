#!/bin/sh
# Runs a test binary for cargo, says how long it took, and ends one that hangs: the output then names the tests of it that
# had not ended.
limit=900
begin=$(date +%s)
status=0
timeout --foreground --kill-after=10 "$limit" "$@" || status=$?
took=$(($(date +%s) - begin))
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
    echo "test binary ended after ${took} s, which is too long: $1"
fi
echo "took ${took} s: $(basename "$1")"
exit "$status"
