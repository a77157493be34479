# SIFScan Operator. 'make help' lists what there is; 'make demo' shows what it does.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Name of the development cluster. make test uses its own, so that it never touches yours.
NAME ?= dev
TEST_CLUSTER := test
# Architectures of the images.
ARCHES ?= amd64 arm64
# What make test-faults breaks over how many scans. A run that failed is planned again by its seed, which it prints.
FAULTS_SCANS ?= 200
FAULTS_SEED ?= $(shell date +%s)
# Time for each fuzz target of make test-fuzz.
FUZZTIME ?= 10m
VERSION ?= dev

GOARCH := $(shell go env GOARCH 2>/dev/null)
CLUSTER = cd hack/cluster && go run ./cmd/cluster
CONTROLLER_GEN = go run -C hack/tools sigs.k8s.io/controller-tools/cmd/controller-gen
KUBECTL ?= $(CURDIR)/bin/kubectl
LDFLAGS := -s -w -X main.version=$(VERSION)
# Modules with code of their own.
MODULES := . hack/cluster hack/images hack/trivy

##@ Use

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*##/ {printf "  %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

.PHONY: demo
demo: preflight-root ## Start a real one-node cluster, scan real images in it, show the reports (first time: a quarter of an hour, later two minutes).
	@hack/demo/run.sh "$(NAME)"

.PHONY: test
test: preflight-root ## Run all tests: unit, integration (real API server), end to end (real kubelet), short fuzzing.
	@hack/stage.sh "unit tests" $(MAKE) test-unit
	@hack/beside.sh "short fuzzing" $(MAKE) test-fuzz FUZZTIME=15s -- "integration tests" $(MAKE) test-integration
	@hack/stage.sh "end-to-end tests" $(MAKE) test-e2e

##@ Develop

.PHONY: generate
generate: preflight ## Generate deep copies, CRDs and RBAC from the Go types and markers.
	@hack/generate.sh .

.PHONY: verify
verify: preflight ## Check generated files, formatting, vet and staticcheck.
	@hack/stage.sh "generated files" hack/verify-generated.sh
	@hack/stage.sh "gofmt" hack/verify-gofmt.sh
	@for m in $(MODULES); do hack/stage.sh "vet $$m" go vet -C $$m ./...; done
	@for m in $(MODULES); do hack/stage.sh "staticcheck $$m" hack/staticcheck.sh $$m; done

.PHONY: build
build: preflight ## Build bin/manager and bin/node-agent, static.
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: images
images: build ## Build the operator's and the agent's OCI images without a daemon (ARCHES="amd64 arm64").
	@hack/images.sh "$(LDFLAGS)" $(ARCHES)

.PHONY: bench
bench: build preflight-root ## Measure against the peers, in pairs, and print the table.
	@hack/packages.sh squashfs-tools squashfuse fuse-overlayfs debootstrap e2fsprogs ripgrep
	@go run ./test/bench
	@KUBEBUILDER_ASSETS="$$($(CLUSTER) kube-build | tail -n 1)" go run ./test/bench/shares
	@KUBEBUILDER_ASSETS="$$($(CLUSTER) kube-build | tail -n 1)" go run ./test/bench/schedules
	@KUBEBUILDER_ASSETS="$$($(CLUSTER) kube-build | tail -n 1)" go run ./test/bench/scans
	@KUBEBUILDER_ASSETS="$$($(CLUSTER) kube-build | tail -n 1)" go run ./test/bench/images
	@hack/latency.sh bench

##@ Test

.PHONY: test-unit
# The race detector shadows memory: what holds a process to a limit runs without it, too, and so does what reads gigabytes.
test-unit: preflight ## Unit tests, with the race detector.
	@hack/packages.sh squashfs-tools squashfuse fuse-overlayfs strace xz-utils e2fsprogs gcc libc6-dev
	@go test -race -timeout 20m $$(go list ./... | grep -v -e /test/integration -e /test/e2e)
	@go test -run TestOutputsOfAHundredMegabytes ./cmd/node-agent
	@go test -run 'TestTwoHundredThousandFiles|TestASparseFileOfEightGigabytes' ./node-agent/rootfs
	@for m in hack/cluster hack/images; do (cd $$m && go test ./...); done

.PHONY: test-integration
test-integration: preflight ## Controller and admission against a real kube-apiserver and etcd.
	@KUBEBUILDER_ASSETS="$$($(CLUSTER) kube-build | tail -n 1)" go test -timeout 20m ./test/integration/...

.PHONY: test-e2e
test-e2e: preflight-root ## End to end on a real kubelet, in a cluster of its own that is removed afterwards.
	@hack/e2e.sh "$(TEST_CLUSTER)"

.PHONY: test-fuzz
test-fuzz: preflight ## Fuzz every target for FUZZTIME each.
	@hack/packages.sh squashfs-tools
	@hack/fuzz.sh "$(FUZZTIME)"

.PHONY: test-slurm
test-slurm: preflight-root ## A job of a real Slurm on this machine, which is installed, runs containers that the agent lists.
	@hack/packages.sh squashfs-tools squashfuse fuse-overlayfs slurmctld slurmd slurm-client munge
	@go test -count=1 -v -run TestTheJobOfARealSlurmIsListed ./test/live

.PHONY: test-faults
test-faults: preflight-root ## The end-to-end tests that break things; the one with a seed over FAULTS_SCANS=200 scans (FAULTS_SEED=…).
	@FAULTS_SCANS=$(FAULTS_SCANS) FAULTS_SEED=$(FAULTS_SEED) hack/e2e.sh "$(TEST_CLUSTER)" --label-filter=faults --timeout=2h

##@ Cluster

.PHONY: cluster-up
cluster-up: preflight-root ## Start a real one-node Kubernetes cluster (NAME=dev); the first build takes about ten minutes.
	@$(CLUSTER) up --name "$(NAME)" --repo "$(CURDIR)"

.PHONY: cluster-down
cluster-down: preflight-root ## End that cluster and remove all of it (NAME=dev).
	@$(CLUSTER) down --name "$(NAME)"

.PHONY: deploy
deploy: ## Install CRDs, RBAC, admission policies and the operator into the cluster that KUBECONFIG names (NODE_SCANS=1: with scans of running containers).
	@KUBECTL="$(KUBECTL)" hack/deploy.sh

.PHONY: undeploy
undeploy: ## Remove them, and with the CRDs every SIFScan and report.
	@$(KUBECTL) delete --ignore-not-found -k config/node-scans

# What is needed, said before anything fails for the lack of it.
.PHONY: preflight preflight-root
preflight:
	@hack/preflight.sh
preflight-root:
	@hack/preflight.sh root
