package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/test/fixtures"
)

// Real programs hold few opcodes close to each other, where the x86 filter's
// rules are intricate. liblzma itself is asked about data that is full of them.
func TestTheBranchFiltersAreLiblzmas(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("needs xz (Debian: xz-utils)")
	}
	for filter, opcodes := range map[string][]string{ // where each begins, next to bytes of any value
		"x86":      {"\xe8", "\xe9", "\x00", "\xff", "\xe8", "\x01", "\xfe"},
		"powerpc":  {"\x48\x00\x00\x01", "\x4b\xff\xff\xfd"},
		"ia64":     {"\x10", "\x12", "\x16", "\x18", "\x1c", "\x00\x00\x00\x50", "\x00\x00\x00\xa0\x00", "\x00\x00\x28"},
		"arm":      {"\x00\x00\x00\xeb", "\xff\xff\xff\xeb"},
		"armthumb": {"\x00\xf0\x00\xf8", "\xff\xf7\xff\xff"},
		"sparc":    {"\x40\x00\x00\x00", "\x7f\xff\xff\xff", "\x40\x3f"},
		"arm64":    {"\x00\x00\x00\x94", "\xff\xff\xff\x97", "\x00\x00\x00\x90", "\xe0\xff\xff\xf0", "\x01\x00\x10\xb0", "\x01\x00\xe0\xb0"},
	} {
		t.Run(filter, func(t *testing.T) {
			converted := false
			for seed := range uint32(20) {
				var want []byte
				x := seed*2654435761 + 1
				for len(want) < 20_000+int(seed) {
					x = x*1664525 + 1013904223
					if n := x >> 24 % 16; int(n) < 2*len(opcodes) {
						want = append(want, opcodes[n/2]...)
					} else {
						want = append(want, byte(x>>8), byte(x>>16))
					}
					if x>>20%4 == 0 { // where instructions are aligned
						want = append(want, make([]byte, -len(want)&3)...)
					}
				}
				cmd := exec.Command("xz", "--stdout", "--check=crc32", "--"+filter, "--lzma2=dict=64KiB")
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
				xzFilters[uint64(stream[xzHeaderLen+2])](got)
				converted = converted || !bytes.Equal(got, want)
			}
			if !converted {
				t.Error("there was nothing to convert")
			}
		})
	}
}

// calls is a program of 30,000 calls of one function, which a branch filter makes all alike: mksquashfs keeps a filter's
// output only where it is smaller.
func calls(call func(p []byte, at uint32) []byte) (program []byte) {
	for range 30_000 {
		program = call(program, uint32(len(program)))
	}
	return program
}

func TestImagesWithBranchFiltersReadAsUnsquashfsReadsThem(t *testing.T) {
	const function = 0x00800000
	le, be := binary.LittleEndian, binary.BigEndian
	for filter, c := range map[string]struct {
		id   byte
		call func(p []byte, at uint32) []byte
	}{
		"x86": {0x04, func(p []byte, at uint32) []byte { return le.AppendUint32(append(p, 0xe8), function-at-5) }},
		"powerpc": {0x05, func(p []byte, at uint32) []byte {
			return be.AppendUint32(p, 0x48000001|(function-at)&0x03fffffc)
		}},
		"ia64": {0x06, func(p []byte, at uint32) []byte { // the third instruction of its bundle
			return le.AppendUint64(le.AppendUint64(p, 0x10), (5<<37|uint64(function-at)>>4<<13)<<23)
		}},
		"arm": {0x07, func(p []byte, at uint32) []byte { return le.AppendUint32(p, 0xeb000000|(function-at-8)>>2) }},
		"armthumb": {0x08, func(p []byte, at uint32) []byte {
			target := (function>>2 - at - 4) >> 1
			return le.AppendUint16(le.AppendUint16(p, uint16(0xf000|target>>11&0x7ff)), uint16(0xf800|target&0x7ff))
		}},
		"sparc": {0x09, func(p []byte, at uint32) []byte { return be.AppendUint32(p, 0x40000000|(function-at)>>2) }},
	} {
		t.Run(filter, func(t *testing.T) {
			tree := fixtures.NewTree(filepath.Join(t.TempDir(), "tree")).File("program", string(calls(c.call)))
			if err := tree.Done(); err != nil {
				t.Fatal(err)
			}
			image := filepath.Join(t.TempDir(), "image")
			if err := (fixtures.Squashfs{Compression: "xz", Extra: []string{"-Xbcj", filter}}).Make(tree.Root, image); err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			_, stream, _ := strings.Cut(string(written), xzMagic)
			if chain := string([]byte{c.id, 0, xzFilterLZMA2, 1}); !strings.Contains(stream[:32], chain) {
				t.Fatalf("mksquashfs made no use of the filter: %x", stream[:32])
			}
			got := snapshotOfImage(t, image)
			for with, want := range map[string]map[string]record{"its source": snapshotOfDirectory(t, tree.Root), "what unsquashfs made of it": unsquashfs(t, image)} {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the image differs from %s:\n%s", with, diff)
				}
			}
		})
	}
}

func TestAFilterThatIsNotReadIsNamed(t *testing.T) {
	sum := func(p []byte) []byte { return binary.LittleEndian.AppendUint32(p, crc32.ChecksumIEEE(p)) }
	for name, filters := range map[string]string{
		"RISC-V":      "\x01\x0b\x00\x21\x01\x00",
		"two filters": "\x02\x04\x00\x07\x00\x21\x01\x00",
	} {
		header := append([]byte{0}, filters...)
		header = append(header, make([]byte, -len(header)&3)...)
		header[0] = byte(len(header) / 4)
		stream := append([]byte(xzMagic), sum([]byte{0, 0})...)
		stream = append(append(stream, sum(header)...), make([]byte, 16)...)
		_, err := new(xzBlock).decompress(make([]byte, 100), stream)
		var e *Error
		if !errors.As(err, &e) || e.Kind != Unsupported || !strings.Contains(e.Msg, "-Xbcj") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
