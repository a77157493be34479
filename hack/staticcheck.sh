#!/usr/bin/env bash
# Runs staticcheck, at the version that hack/tools pins, over a module.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
go build -C hack/tools -o "$PWD/bin/staticcheck" honnef.co/go/tools/cmd/staticcheck
tool=$PWD/bin/staticcheck
cd "$1"
exec "$tool" ./...
