#!/usr/bin/env bash
# Runs a command as a named stage and prints how long it took; of one that failed, what failed once more at the end, where
# a log that was cut off still shows it.
set -uo pipefail
name=$1; shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The lines by which go test and Ginkgo name a test that failed, with those that follow. Ginkgo colours its own.
failures() {
  sed -i 's/\x1b\[[0-9;]*m//g' "$log"
  grep -qE '^== .*: FAILED \([0-9]+\)' "$log" && return # a stage within this one, which has said it
  grep -aE -A 12 '^ *(--- FAIL: |\[FAILED\] |panic: |WARNING: DATA RACE)' "$log" | cut -c 1-300 | head -n 40
  grep -aE -A 1 '^ *\[FAIL\] ' "$log" | cut -c 1-300 | head -n 20
}

echo "== $name"
start=$SECONDS
"$@" 2>&1 | tee -i "$log"; code=${PIPESTATUS[0]}
[ "$code" = 0 ] || failures
printf '== %s: %s after %d s\n' "$name" "$([ "$code" = 0 ] && echo ok || echo "FAILED ($code)")" $((SECONDS - start))
exit "$code"
