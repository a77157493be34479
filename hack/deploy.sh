#!/usr/bin/env bash
# Installs the operator into the cluster that KUBECONFIG names, and waits until it works. With
# NODE_SCANS=1 it may also scan running containers.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${KUBECONFIG:?names no cluster: run 'make cluster-up' and the line it prints, or export the path of your kubeconfig}"
kubectl=${KUBECTL:-bin/kubectl}
[ -x "$kubectl" ] || kubectl=kubectl
overlay=config/default
[ -z "${NODE_SCANS:-}" ] || overlay=config/node-scans
"$kubectl" apply --server-side --force-conflicts -k "$overlay"
# The development images keep their name: a new one is told by what it holds.
if [ -f dist/sifscan-operator.tar ]; then
  digest=$(sha256sum dist/sifscan-operator.tar | cut -c1-16)
  "$kubectl" -n sifscan-system patch deployment sifscan-manager -p \
    "{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{\"sifscan.io/image\":\"$digest\"}}}}}"
fi
"$kubectl" wait --for=condition=Established --timeout=60s crd/sifscans.sifscan.io crd/scanreports.sifscan.io crd/scaninventories.sifscan.io
"$kubectl" -n sifscan-system rollout status deployment/sifscan-manager --timeout=180s
