#!/usr/bin/env bash
# Builds the images for the architectures given, after 'make build' made this machine's programs.
set -euo pipefail
cd "$(dirname "$0")/.."
ldflags=$1; shift
native=$(go env GOARCH)
for arch in "$@"; do
  [ "$arch" = "$native" ] && continue
  mkdir -p "dist/bin/linux_$arch"
  CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -ldflags "$ldflags" -o "dist/bin/linux_$arch/" ./cmd/...
done
architectures="$*"
go run -C hack/images ./cmd/images build --repo "$PWD" --arch "${architectures// /,}"
