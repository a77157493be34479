//go:build !large

package squashfs

// large is set by "go test -tags large": everything, for minutes.
const large = false
