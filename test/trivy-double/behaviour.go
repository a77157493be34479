package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/sifscan/sifscan-operator/test/hostile"
)

// behaviourFile in the scanned directory has one instruction on a line:
//
//	exit N         end with the exit code N, without an output
//	die            end by SIGKILL
//	crash          end by a panic
//	shout N        write N MiB to both streams that clear a terminal
//	packages N     list N more packages, of 2.5 KiB of text each
//	output HOW     spoil the output: the ways of package hostile
const behaviourFile = ".trivy-double"

type behaviour struct {
	exit, shout, packages int
	die, crash            bool
	output                string
}

func readBehaviour(root string) (*behaviour, error) {
	b := &behaviour{}
	return b, hostile.Instructions(root, behaviourFile, b.instruction)
}

func (b *behaviour) instruction(words []string) (err error) {
	switch {
	case len(words) == 1 && words[0] == "die":
		b.die = true
	case len(words) == 1 && words[0] == "crash":
		b.crash = true
	case len(words) == 2 && words[0] == "exit":
		b.exit, err = strconv.Atoi(words[1])
	case len(words) == 2 && words[0] == "shout":
		b.shout, err = strconv.Atoi(words[1])
	case len(words) == 2 && words[0] == "packages":
		b.packages, err = strconv.Atoi(words[1])
	case len(words) == 2 && words[0] == "output":
		b.output = words[1]
	default:
		err = fmt.Errorf("no such instruction")
	}
	return err
}

// more are invented packages.
func (b *behaviour) more() (list []pkg) {
	for i := range b.packages {
		list = append(list, pkg{name: fmt.Sprintf("invented-%d", i), version: "1" + strings.Repeat("\u202e", 80)})
	}
	return list
}

// before misbehaves.
func (b *behaviour) before() error {
	if b.shout > 0 {
		for _, stream := range []*os.File{os.Stdout, os.Stderr} {
			if err := hostile.Shout(stream, b.shout); err != nil {
				return err
			}
		}
	}
	if b.die {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return err
		}
		select {}
	}
	if b.crash {
		panic("the double crashes")
	}
	if b.exit > 0 {
		os.Exit(b.exit)
	}
	return nil
}
