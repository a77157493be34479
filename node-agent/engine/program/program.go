// Package program opens the binary of an engine that the site supplies: plain or gzip, the one whose digest the site names,
// and made for this machine.
package program

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxBinary bounds what a compressed binary may become; qscanner has about 110 MB and trivy 170 MB.
const maxBinary = 1 << 30

// Program is a verified binary.
type Program struct {
	// Path to execute: it leads to the verified file whatever happens to the name it was opened by.
	Path string
	// Digest is the SHA-256 of the file that was named, compressed or not ("sha256:…").
	Digest string
	// Unpacked is how many bytes of tmp the program takes: those of a gzip file's content.
	Unpacked int64

	file *os.File
	dir  string // of an unpacked binary
}

// Open verifies the binary at path. digest is the SHA-256 of that file in hexadecimal, with or without "sha256:"; empty: any.
// A gzip file is unpacked into a directory of its own in tmp, which Close removes.
func Open(path, digest, tmp string) (_ *Program, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	p := &Program{file: f}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), p.Close())
		}
	}()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is no regular file"), err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	have := hex.EncodeToString(h.Sum(nil))
	if want := strings.ToLower(strings.TrimPrefix(digest, "sha256:")); want != "" && want != have {
		return nil, fmt.Errorf("its SHA-256 is %s and not %s: it is another version, or was tampered with", have, want)
	}
	p.Digest = "sha256:" + have
	if err := p.unpack(tmp); err != nil {
		return nil, err
	}
	if err := fits(p.file); err != nil {
		return nil, err
	}
	// Through the descriptor: the name could lead to another file by the time it is executed.
	p.Path = fmt.Sprintf("/proc/self/fd/%d", p.file.Fd())
	return p, nil
}

// Close removes what Open unpacked.
func (p *Program) Close() error {
	err := p.file.Close()
	if p.dir != "" {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}

// unpack replaces a gzip file by its content.
func (p *Program) unpack(tmp string) error {
	magic := make([]byte, 2)
	if _, err := p.file.ReadAt(magic, 0); err != nil || !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return nil
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	z, err := gzip.NewReader(p.file)
	if err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp(tmp, "sifscan-engine-"); err != nil {
		return err
	}
	name := filepath.Join(p.dir, "engine")
	out, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o500)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(z, maxBinary+1))
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("unpack it: %w", err)
	}
	if n > maxBinary {
		return fmt.Errorf("it unpacks to more than %d MiB", maxBinary>>20)
	}
	p.Unpacked = n
	unpacked, err := os.Open(name) // a file that is open for writing cannot be executed
	if err != nil {
		return err
	}
	_ = p.file.Close()
	p.file = unpacked
	return nil
}

var machines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x", elf.EM_RISCV: "riscv64",
}

// fits refuses a binary that this machine cannot execute.
func fits(f *os.File) error {
	header, err := elf.NewFile(f)
	if err != nil {
		return errors.New("it is no Linux program (ELF)")
	}
	if arch := machines[header.Machine]; arch != runtime.GOARCH {
		return fmt.Errorf("it is for %s and this node is %s: supply the binary for %s", or(arch, header.Machine.String()), runtime.GOARCH, runtime.GOARCH)
	}
	if info, err := f.Stat(); err != nil || info.Mode()&0o111 == 0 {
		return errors.New("it is not executable: chmod +x")
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
