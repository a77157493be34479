#!/usr/bin/env bash
# Fuzzes every fuzz target for the time given. Go fuzzes one target at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Go's fuzzer sometimes takes the end of its own time for a failure: it compares the error with that of a child context
# to which the end has not come yet (internal/fuzz CoordinateFuzzing, stop). Such a run names that error on a line of
# its own and no input; whatever an input causes is written down with the input.
ended_by_time() {
  grep -qxE '[[:space:]]*context deadline exceeded' "$log" && ! grep -qE 'Failing input written|panic|DATA RACE' "$log"
}

found=0
while IFS=: read -r file target; do
  found=1
  echo "-- $target (./$(dirname "$file"))"
  if go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s >"$log" 2>&1; then
    tail -n 2 "$log"
  elif ended_by_time; then
    tail -n 5 "$log" | head -n 1
    echo "time is up"
  else
    cat "$log"
    exit 1
  fi
done < <(git ls-files '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' | sed 's/func //')
[ $found = 1 ] || { echo "no fuzz target found" >&2; exit 1; }
