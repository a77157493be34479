#!/usr/bin/env bash
# Fuzzes every fuzz target for the time given. Go fuzzes one target at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
time=$1
found=0
while IFS=: read -r file target; do
  found=1
  echo "-- $target (./$(dirname "$file"))"
  go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s | tail -n 4
done < <(git ls-files '*_test.go' | xargs grep -oE '^func Fuzz[A-Za-z0-9_]+' | sed 's/func //')
[ $found = 1 ] || { echo "no fuzz target found" >&2; exit 1; }
