#!/usr/bin/env bash
# The main job from start to report on a real one-node cluster, which is left up.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=$1
bold='' plain=''
[ -t 1 ] && bold=$'\033[1m' plain=$'\033[0m'
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
volume=/var/lib/sifscan-operator/demo
database=/var/lib/sifscan-operator/demo-database

say "1. A real Kubernetes cluster of one node"
make cluster-up NAME="$name"
KUBECONFIG=$(go run -C hack/cluster ./cmd/cluster kubeconfig --name "$name")
export KUBECONFIG
kubectl=bin/kubectl

say "2. The operator"
make images ARCHES="$(go env GOARCH)"
go run -C hack/cluster ./cmd/cluster load --name "$name" "$PWD"/dist/*.tar
make deploy | tail -n 1

say "3. Two images on a volume: a Debian with Python, Node.js and Go packages, and an interrupted copy of it"
hack/packages.sh debootstrap squashfs-tools
go run ./test/demo "$volume" "$database"
sed "s|@VOLUME@|$volume|; s|@DATABASE@|$database|" hack/demo/volume.yaml | $kubectl apply --server-side -f - >/dev/null

say "4. kubectl apply --server-side -f config/samples/sifscan.yaml"
$kubectl apply --server-side -f config/samples/sifscan.yaml
# The same spec never runs twice by itself: a second demo asks for a run.
if [ -n "$($kubectl -n demo get sifscan demo -o jsonpath='{.status.completionTime}')" ]; then
  $kubectl -n demo annotate --overwrite sifscan/demo "sifscan.io/rescan-at=$(date -u +%FT%TZ)"
fi
hack/follow.sh "$kubectl" demo demo

say "5. What is known now"
$kubectl -n demo get sifscan,scanreport
echo
$kubectl -n demo get sifscan demo -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'
echo
echo "Findings (of the demonstration's made-up advisories):"
$kubectl -n demo get scanreport -o jsonpath='{range .items[*].report.findings[*]}  {.severity}{"\t"}{.key}{"\t"}{.package} {.version}{"\t"}{.fixedVersion}{"\n"}{end}' |
  awk -F '\t' '{ split($2, id, " "); printf "%-10s %-16s %-34s %s\n", $1, id[1], $3, $4 == "" ? "no fix yet" : "fixed in " $4 }'
echo
echo "The interrupted copy:"
$kubectl -n demo get scanreport -o jsonpath='{range .items[?(@.report.outcome.reason)]}  {.report.target.path}: {.report.outcome.reason}: {.report.outcome.message}{"\n"}{end}'
echo
echo "The top of the SBOM (SPDX 2.3):"
artifact=$($kubectl -n demo get scanreport -o jsonpath='{.items[*].report.artifacts[?(@.name=="sbom.spdx.json")].configMap}')
$kubectl -n demo get configmap "${artifact%% *}" -o jsonpath='{.binaryData.sbom\.spdx\.json\.gz}' | base64 -d | gunzip | head -n 24 || true

say "What to try next"
cat <<EOF
  export KUBECONFIG=$KUBECONFIG
  bin/kubectl -n demo get sifscan,scanreport,scaninventory -o wide
  bin/kubectl -n demo describe sifscan demo
  bin/node-agent inspect $volume/py.sif
  bin/node-agent scan --formats spdx,cyclonedx --db $database/osv.db $volume
  make demo NAME=$name            # again: what is unchanged is not opened
  make cluster-down NAME=$name    # end the cluster and remove it; the images stay in $volume
EOF
