package squashfs

import (
	"bytes"
	"os/exec"
	"testing"
)

// Real programs hold few opcodes close to each other, where the filter's rules
// are intricate. liblzma itself is asked about data that is full of them.
func TestTheX86FilterIsLiblzmas(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("needs xz (Debian: xz-utils)")
	}
	for seed := range uint32(20) {
		want := make([]byte, 8000+seed)
		x := seed*2654435761 + 1
		for i := range want {
			x = x*1664525 + 1013904223
			want[i] = [...]byte{0xe8, 0xe9, 0x00, 0xff, 0xe8, 0x01, 0xfe, byte(x >> 8)}[(x>>24)%8]
		}
		cmd := exec.Command("xz", "--stdout", "--check=crc32", "--x86", "--lzma2=dict=64KiB")
		cmd.Stdin = bytes.NewReader(want)
		stream, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		n, err := new(xzBlock).decompress(got, stream)
		if err != nil || !bytes.Equal(got[:n], want) {
			t.Errorf("seed %d: %d of %d bytes, %v", seed, n, len(want), err)
		}
	}
}
