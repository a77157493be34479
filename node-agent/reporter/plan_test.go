// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package reporter

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/sifscan/sifscan-operator/node-agent/plan"
)

// randomList is a list that hardly compresses.
func randomList(t *testing.T, n int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for range n {
		name := fmt.Sprintf("%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64()) + strconv.FormatUint(r.Uint64(), 36)
		if err := plan.Write(&text, plan.Item{Kind: plan.Image, Path: name, Size: r.Int64()}); err != nil {
			t.Fatal(err)
		}
	}
	return text.Bytes()
}

func TestAListIsCutIntoPartsThatEtcdTakesAndThatAddUpToIt(t *testing.T) {
	for _, n := range []int{0, 1, 25_000} {
		text := randomList(t, n)
		packed, err := packPlan(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		var all bytes.Buffer
		for i, part := range packed.parts {
			if most := maxPart + 128<<10; len(part) > most {
				t.Errorf("%d targets: part %d takes %d bytes", n, i, len(part))
			}
			if err := unpackPart(&all, part); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(all.Bytes(), text) || packed.targets != n {
			t.Errorf("%d targets came back as %d, in %d of %d bytes", n, packed.targets, all.Len(), len(text))
		}
		if n > 1 && len(packed.parts) < 2 {
			t.Errorf("%d targets are %d parts", n, len(packed.parts))
		}
	}
}

func TestTheExplanationOfAnEmptyListIsNoTarget(t *testing.T) {
	packed, err := packPlan(strings.NewReader(`{"kind":"nothing","message":"m"}` + "\n"))
	if err != nil || packed.targets != 0 || len(packed.parts) != 1 {
		t.Errorf("%d targets in %d parts, %v", packed.targets, len(packed.parts), err)
	}
}

func TestEqualListsHaveEqualNamesAndOthersOthers(t *testing.T) {
	text := randomList(t, 10)
	a, _ := packPlan(bytes.NewReader(text))
	b, _ := packPlan(bytes.NewReader(text))
	c, _ := packPlan(bytes.NewReader(text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]))
	if a.digest != b.digest || a.digest == c.digest || len(a.digest) != planDigest {
		t.Errorf("%s, %s, %s", a.digest, b.digest, c.digest)
	}
}

func TestWhatTheScannerWroteThatIsNoListIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "rm -rf\n", "an endless line": strings.Repeat("x", 2*plan.MaxLine), "half a list": `{"kind":"image","path":"a"}` + "\n" + `{"kind`,
	} {
		if _, err := packPlan(strings.NewReader(text)); err == nil {
			t.Errorf("%s: it was packed", name)
		}
	}
}

// zeros is an endless source.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAPartThatUnpacksWithoutEndIsRefused(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(w, zeros{}, maxPartLines+1); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unpackPart(io.Discard, bomb.Bytes()); err == nil {
		t.Error("it was unpacked")
	}
}
