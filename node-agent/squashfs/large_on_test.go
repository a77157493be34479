//go:build large

package squashfs

const large = true
