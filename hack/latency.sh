#!/usr/bin/env bash
# Measures how long a user waits for the report of a small image, in a cluster of its own that is removed: CLUSTER [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
unset KUBECONFIG # another cluster's, should one be set
cluster() { go run -C hack/cluster ./cmd/cluster "$@"; }
trap 'code=$?; cluster down --name "$name" >&2 || code=1; exit $code' EXIT
trap "exit 130" INT TERM

hack/packages.sh squashfs-tools >&2
cluster down --name "$name" >&2 # what a run that was killed left would go on with the operator of then
cluster up --name "$name" --repo "$PWD" >&2
KUBECONFIG=$(cluster kubeconfig --name "$name")
export KUBECONFIG
make images ARCHES="$(go env GOARCH)" >&2
cluster load --name "$name" "$PWD"/dist/sifscan-*.tar >&2
make deploy >&2
go run ./test/bench/latency -runs "${2:-9}"
