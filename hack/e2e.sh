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

hack/packages.sh squashfs-tools squashfuse fuse-overlayfs
cluster down --name "$name" # what a run that was killed left would go on with the operator of then
cluster up --name "$name" --repo "$PWD"
KUBECONFIG=$(cluster kubeconfig --name "$name")
export KUBECONFIG
make images ARCHES="$(go env GOARCH)"
CGO_ENABLED=0 go build -trimpath -o dist/bin/ ./test/qscanner-double ./test/trivy-double ./test/apptainer-double
engines=$(go run -C hack/images ./cmd/images program --repo "$PWD" "$PWD"/dist/bin/{qscanner,trivy,apptainer}-double)
cluster load --name "$name" "$PWD"/dist/*.tar
make deploy NODE_SCANS=1 | tail -n 1

# The doubles as a site supplies its engines. Any answer of a gateway will do: the API server gives one, and is trusted by the
# ConfigMap that every namespace has.
reference() { sed -n "s|^.* \(sifscan.io/$1@.*\)|\1|p" <<<"$engines"; }
gateway=$(bin/kubectl get service kubernetes -o 'jsonpath={.spec.clusterIP}')
patch=
for flag in --qscanner-image="$(reference qscanner-double)" --qscanner-path=/qscanner-double \
  --qscanner-gateway-url="https://$gateway" --qscanner-ca-configmap=kube-root-ca.crt --qscanner-report-waits=1s,1s \
  --trivy-image="$(reference trivy-double)" --trivy-path=/trivy-double --node-scans-qscanner-credentials-secret=node-qualys --registry-ca-configmap=registry-ca --pending-deadline=1m; do
  patch+="${patch:+,}{\"op\":\"add\",\"path\":\"/spec/template/spec/containers/0/args/-\",\"value\":\"$flag\"}"
done
bin/kubectl -n sifscan-system patch deployment sifscan-manager --type=json -p "[$patch]"
bin/kubectl -n sifscan-system rollout status deployment/sifscan-manager --timeout=180s

# Three at a time: a scan mostly waits for pods to start, which two cores do for three at once.
SIFSCAN_E2E_CLUSTER=$name SIFSCAN_E2E_APPTAINER=$(reference apptainer-double) go run github.com/onsi/ginkgo/v2/ginkgo \
  -procs=3 --timeout=30m "$@" ./test/e2e
