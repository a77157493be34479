//go:build race

package rootfs_test

// The race detector notes every access to memory: 8 GB take it a minute.
func init() { shadowed = true }
