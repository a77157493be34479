#!/usr/bin/env bash
# Runs the end-to-end tests in a cluster of their own, and removes it: CLUSTER [GINKGO OPTION…]
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1; shift
unset KUBECONFIG # another cluster's, should one be set
cluster() { go run -C hack/cluster ./cmd/cluster "$@"; }

finish() {
  code=$?
  if [ $code != 0 ] && [ -n "${KUBECONFIG:-}" ]; then
    echo "--- the operator's log, its end"
    bin/kubectl -n sifscan-system logs deployment/sifscan-manager --tail=100 --limit-bytes=30000 || true
  fi
  cluster down --name "$name" || code=1
  exit $code
}
trap finish EXIT
trap "exit 130" INT TERM

hack/packages.sh squashfs-tools
cluster down --name "$name" # what a run that was killed left would go on with the operator of then
cluster up --name "$name" --repo "$PWD"
KUBECONFIG=$(cluster kubeconfig --name "$name")
export KUBECONFIG
make images ARCHES="$(go env GOARCH)"
cluster load --name "$name" "$PWD"/dist/*.tar
make deploy | tail -n 1

# Three at a time: a scan mostly waits for pods to start, which two cores do for three at once.
SIFSCAN_E2E_CLUSTER=$name go run github.com/onsi/ginkgo/v2/ginkgo \
  -procs=3 --timeout=30m "$@" ./test/e2e
