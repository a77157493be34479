//go:build large

package rootfs_test

const large = true
