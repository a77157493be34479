#!/usr/bin/env bash
# Generates deep copies, CRDs and RBAC below the folder given as argument.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(cd "$1" && pwd)
mkdir -p bin
go build -C hack/tools -o "$PWD/bin/controller-gen" sigs.k8s.io/controller-tools/cmd/controller-gen
bin/controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/... "output:object:dir=$out/api/v1alpha1"
bin/controller-gen crd:maxDescLen=400 paths=./api/... "output:crd:dir=$out/config/crd/bases"
bin/controller-gen rbac:roleName=sifscan-manager paths=./controllers/... "output:rbac:dir=$out/config/rbac"
