#!/usr/bin/env bash
# Runs a command as a named stage and prints how long it took.
set -uo pipefail
name=$1; shift
echo "== $name"
start=$SECONDS
"$@"; code=$?
printf '== %s: %s after %d s\n' "$name" "$([ $code = 0 ] && echo ok || echo "FAILED ($code)")" $((SECONDS - start))
exit $code
