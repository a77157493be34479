module github.com/sifscan/sifscan-operator/hack/trivy

go 1.26.3

require (
	github.com/sifscan/sifscan-operator v0.0.0
	go.etcd.io/bbolt v1.5.0
)

require golang.org/x/sys v0.49.0 // indirect

replace github.com/sifscan/sifscan-operator => ../..
