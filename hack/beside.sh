#!/usr/bin/env bash
# Runs a stage, and beside it one that gets what processor time the first leaves: NAME COMMAND… -- NAME COMMAND…, the one
# beside first. The output of the one beside is shown when it fails. Both run to their end; either fails the whole.
set -uo pipefail
beside=()
while [ "$1" != -- ]; do beside+=("$1"); shift; done
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT

set -m # each is a process group of its own, which can be ended as a whole
nice -n 19 hack/stage.sh "${beside[@]}" >"$log" 2>&1 &
other=$!
hack/stage.sh "$@" &
first=$!

# go test hands an interrupt on to tests, which end what they started; a loop over fuzz targets would go on with the next.
stop() {
  trap '' INT TERM
  kill -INT -- "-$first" 2>/dev/null
  kill -TERM -- "-$other" 2>/dev/null
  wait 2>/dev/null
  exit 130
}
trap stop INT TERM

wait "$first"; code=$?
wait "$other"; beside_code=$?
if [ $beside_code = 0 ]; then tail -n 1 "$log"; else cat "$log"; fi
[ $code != 0 ] || code=$beside_code
exit $code
