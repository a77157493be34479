#!/usr/bin/env bash
# Installs the operator into the cluster that KUBECONFIG names, and waits until it works.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${KUBECONFIG:?names no cluster: run 'make cluster-up' and the line it prints, or export the path of your kubeconfig}"
kubectl=${KUBECTL:-bin/kubectl}
[ -x "$kubectl" ] || kubectl=kubectl
"$kubectl" apply --server-side --force-conflicts -k config/default
"$kubectl" wait --for=condition=Established --timeout=60s crd/sifscans.sifscan.io crd/scanreports.sifscan.io crd/scaninventories.sifscan.io
"$kubectl" -n sifscan-system rollout status deployment/sifscan-manager --timeout=180s
