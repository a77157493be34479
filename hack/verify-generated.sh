#!/usr/bin/env bash
# Fails when a generated file is not what 'make generate' makes of the sources.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir -p "$out/api/v1alpha1" "$out/config/crd/bases" "$out/config/rbac"
hack/generate.sh "$out"
stale=0
while read -r file; do
  diff -u "$file" "$out/$file" || stale=1
done < <(cd "$out" && find . -type f)
[ $stale = 0 ] || { echo "Generated files are not current: run 'make generate' and commit." >&2; exit 1; }
