#!/usr/bin/env bash
# Says what is missing on this machine before something fails for the lack of it.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf '%s\n' "$@" >&2; exit 1; }

wanted=$(awk '$1 == "go" {print $2}' go.mod)
if ! command -v go >/dev/null; then
  fail "Go is missing: install Go $wanted or newer (https://go.dev/doc/install) and put it on PATH."
fi
have=$(go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
  fail "Go $have is too old: install Go $wanted or newer (https://go.dev/doc/install)."
fi
[ "${1:-}" = root ] || exit 0

existing="To use an existing cluster instead: export KUBECONFIG=/path/to/kubeconfig; make build images; push the images of dist/; make deploy."
[ "$(uname -s)" = Linux ] || fail "This starts a real kubelet and needs Linux; this is $(uname -s)." "$existing"
[ "$(id -u)" = 0 ] || fail "This starts a real kubelet and needs root; you are $(id -un). Try: sudo make …" "$existing"
command -v apt-get >/dev/null || fail "This installs containerd, runc and others with apt-get and needs Debian or Ubuntu." "$existing"
