#!/usr/bin/env bash
# Prints a SIFScan's progress until its run is finished: KUBECTL NAMESPACE NAME [SECONDS]
set -euo pipefail
kubectl=$1 namespace=$2 name=$3 limit=${4:-300}
last=""
for ((i = 0; i < limit * 2; i++)); do
  now=$($kubectl -n "$namespace" get sifscan "$name" -o jsonpath='{.metadata.generation}/{.status.observedGeneration} {.metadata.annotations.sifscan\.io/rescan-at}/{.status.lastHandledRescanAt} {.status.completionTime} {.status.conditions[?(@.type=="Ready")].reason}: {.status.conditions[?(@.type=="Ready")].message}')
  text=${now#* * * }
  [ "$text" = "$last" ] || { echo "  $text"; last=$text; }
  read -r generation rescan completion _ <<<"$now"
  [ "${generation%/*}" = "${generation#*/}" ] && [ "${rescan%/*}" = "${rescan#*/}" ] && [ -n "$completion" ] && [[ $completion == 20* ]] && exit 0
  sleep 0.5
done
echo "no outcome after $limit s; see: $kubectl -n $namespace describe sifscan $name" >&2
exit 1
