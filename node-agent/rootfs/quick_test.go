//go:build !large

package rootfs_test

// large is set by "go test -tags large": everything, for minutes.
const large = false
