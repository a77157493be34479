package squashfs

import (
	"bytes"
	"hash/adler32"
	"math/rand/v2"
	"testing"
)

func TestAdler32IsThatOfTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	block := make([]byte, 1<<20+13)
	for i := range block {
		block[i] = byte(random.Uint32())
	}
	ones := bytes.Repeat([]byte{0xff}, 1<<20+13)
	check := func(p []byte) {
		if got, want := adler32Of(p), adler32.Checksum(p); got != want {
			t.Fatalf("of %d bytes, the first %x: %08x, want %08x", len(p), p[:min(len(p), 8)], got, want)
		}
	}
	for n := range 1000 {
		check(block[n : 2*n])
		check(ones[:n])
	}
	for _, n := range []int{8192, adlerStretch - 1, adlerStretch, adlerStretch + 1, 128 << 10, 1 << 20, len(block)} {
		check(block[:n])
		check(block[len(block)-n:])
		check(ones[:n])
	}
}

func BenchmarkAdler32(b *testing.B) {
	block := bytes.Repeat([]byte("some text"), 128<<10/9)
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		adler32Of(block)
	}
}
