#!/usr/bin/env bash
# Fails when a Go file is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$bad" ] || { printf 'Not formatted, run gofmt -w on:\n%s\n' "$bad" >&2; exit 1; }
