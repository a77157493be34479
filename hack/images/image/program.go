package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Architectures lists the architectures that images can be made for, by their GOARCH.
func Architectures() []string { return []string{"amd64", "arm64"} }

// checkProgram makes sure that a program runs in an image that holds nothing else: a program of another architecture or one that
// asks for a dynamic linker fails there with no better message than "no such file or directory".
func checkProgram(program []byte, architecture string) error {
	machine, known := machines[architecture]
	if !known {
		return fmt.Errorf("the architecture is unknown: use one of %v", Architectures())
	}
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("not a Linux program: %w", err)
	}
	if file.Machine != machine {
		return fmt.Errorf("built for %v: set GOARCH", file.Machine)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return errors.New("linked dynamically: build it with CGO_ENABLED=0")
		}
	}
	return nil
}
