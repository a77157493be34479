// Command images makes the images of the operator and the node agent without a container engine and without a base image.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sifscan/sifscan-operator/hack/images/image"
)

const usage = `usage: images build [--repo DIR] [--arch amd64,arm64] [--tag dev]
       images tree --repo DIR IMAGE FOLDER
       images program [--repo DIR] PROGRAM…

  build  make dist/IMAGE.tar, an OCI archive, for each image from the programs in bin (this machine's architecture) and
         dist/bin/linux_ARCH (others); print each file with its reference and digest
  tree   write the files of one image into a new folder, with the program for this machine's architecture
  program  make dist/NAME.tar for each program file, an image that holds it as /NAME and nothing else, for this machine's
         architecture and under its digest; print each file with its reference
`

var errUsage = errors.New("usage")

// options are the flags of both commands.
type options struct {
	repo, tag     string
	architectures []string
}

func main() {
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "images: %v\n", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errUsage
	}
	var o options
	var architectures string
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.Usage = func() {}
	flags.StringVar(&o.repo, "repo", "../..", "")
	flags.StringVar(&o.tag, "tag", "dev", "")
	flags.StringVar(&architectures, "arch", strings.Join(image.Architectures(), ","), "")
	if flags.Parse(arguments[1:]) != nil {
		return errUsage
	}
	o.architectures = strings.Split(architectures, ",")
	switch {
	case arguments[0] == "build" && flags.NArg() == 0:
		return build(o)
	case arguments[0] == "program" && flags.NArg() > 0:
		return bare(o, flags.Args())
	case arguments[0] == "tree" && flags.NArg() == 2:
		return tree(o, flags.Arg(0), flags.Arg(1))
	}
	return errUsage
}

// build makes an archive of each image.
func build(o options) error {
	base, err := baseFiles()
	if err != nil {
		return err
	}
	for _, i := range image.All {
		programs := map[string][]byte{}
		for _, architecture := range o.architectures {
			if programs[architecture], err = readProgram(o.repo, i.Program, architecture); err != nil {
				return err
			}
		}
		index, err := i.Index(base, o.architectures, programs)
		if err != nil {
			return err
		}
		digest, err := index.Digest()
		if err != nil {
			return err
		}
		file := filepath.Join(o.repo, "dist", i.Name+".tar")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := image.WriteArchive(file, i.Reference(o.tag), index); err != nil {
			return err
		}
		fmt.Println(file, i.Reference(o.tag), digest)
	}
	return nil
}

// bare makes an archive of an image for each program, as a site would for an engine of its own: nothing else is in it.
func bare(o options, programs []string) error {
	for _, program := range programs {
		i := image.Image{Name: filepath.Base(program), Program: filepath.Base(program), Title: filepath.Base(program)}
		data, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		index, err := i.Index(nil, []string{runtime.GOARCH}, map[string][]byte{runtime.GOARCH: data})
		if err != nil {
			return err
		}
		digest, err := index.Digest()
		if err != nil {
			return err
		}
		file := filepath.Join(o.repo, "dist", i.Name+".tar")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := image.WriteArchive(file, i.DigestReference(digest), index); err != nil {
			return err
		}
		fmt.Println(file, i.DigestReference(digest))
	}
	return nil
}

// tree writes the files of one image into a folder.
func tree(o options, name, folder string) error {
	for _, i := range image.All {
		if i.Name != name {
			continue
		}
		files, err := baseFiles()
		if err != nil {
			return err
		}
		program, err := readProgram(o.repo, i.Program, runtime.GOARCH)
		if err != nil {
			return err
		}
		return image.WriteTree(folder, append(files, image.File{Path: i.Program, Mode: 0o755, Data: program}))
	}
	return fmt.Errorf("there is no image %q", name)
}

// baseFiles takes the time zones from the Go release that builds the programs.
func baseFiles() ([]image.File, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for its folder: %w", err)
	}
	zoneinfo, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	return image.Base(zoneinfo)
}

// readProgram reads a program from where "make build" puts it.
func readProgram(repo, name, architecture string) ([]byte, error) {
	file := filepath.Join(repo, "bin", name)
	if architecture != runtime.GOARCH {
		file = filepath.Join(repo, "dist", "bin", "linux_"+architecture, name)
	}
	program, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: build it first", file)
	}
	return program, err
}
