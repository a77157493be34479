package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sifscan/sifscan-operator/test/hostile"
)

// behaviourFile in the scanned directory has one instruction on a line:
//
//	exit N            end with the exit code N; 33, 37, 39 and 40–43 after the files were written
//	exit N times M    the same in the first M runs on this very directory, then end well
//	hang              never end, and ignore SIGTERM
//	die               end by SIGKILL
//	crash             end by a panic
//	leak              leave three processes behind: in the group, in a session of its own, without a parent
//	fill N            write N bytes to the temporary directory, in files of 64 KiB
//	fill N at R       the same at a pace of R bytes a second
//	grow N            write N bytes to one file there
//	eat N             take N bytes of memory, and keep them for a minute
//	print-token       show the token on both streams and in the files, in several encodings
//	no-packages       find nothing
//	shout N           write N MiB to both streams that clear a terminal
//	output F HOW      spoil the file F (json, spdx, cyclonedx, sarif): the ways of package hostile
const behaviourFile = ".qscanner-double"

// runsFile counts runs; it lies in the scanned directory, so that a directory that was extracted anew starts at none.
const runsFile = ".qscanner-double-runs"

// leakedChild is set for a process that is left behind.
const leakedChild = "QSCANNER_DOUBLE_CHILD"

type behaviour struct {
	exit, times            int
	hang, leak, die, crash bool
	fill, grow, eat, shout int64
	fillRate               int64
	printToken, noPackages bool
	spoiled                map[string]string
}

func readBehaviour(root string) (*behaviour, error) {
	b := &behaviour{spoiled: map[string]string{}}
	return b, hostile.Instructions(root, behaviourFile, b.instruction)
}

func (b *behaviour) instruction(words []string) (err error) {
	bytes := func(into *int64) { *into, err = strconv.ParseInt(words[1], 10, 64) }
	switch {
	case len(words) == 0:
	case words[0] == "exit" && len(words) >= 2:
		if b.exit, err = strconv.Atoi(words[1]); err == nil && len(words) == 4 {
			b.times, err = strconv.Atoi(words[3])
		}
	case words[0] == "hang":
		b.hang = true
	case words[0] == "die":
		b.die = true
	case words[0] == "crash":
		b.crash = true
	case words[0] == "leak":
		b.leak = true
	case words[0] == "print-token":
		b.printToken = true
	case words[0] == "no-packages":
		b.noPackages = true
	case words[0] == "fill" && len(words) == 2:
		bytes(&b.fill)
	case words[0] == "fill" && len(words) == 4 && words[2] == "at":
		if bytes(&b.fill); err == nil {
			b.fillRate, err = strconv.ParseInt(words[3], 10, 64)
		}
	case words[0] == "grow" && len(words) == 2:
		bytes(&b.grow)
	case words[0] == "eat" && len(words) == 2:
		bytes(&b.eat)
	case words[0] == "shout" && len(words) == 2:
		bytes(&b.shout)
	case words[0] == "output" && len(words) == 3:
		b.spoiled[words[1]] = words[2]
	default:
		err = fmt.Errorf("no such instruction")
	}
	return err
}

// before misbehaves, and returns the exit code to end with.
func (b *behaviour) before(c *call) (int, error) {
	if b.printToken {
		for _, stream := range []*os.File{os.Stdout, os.Stderr} {
			fmt.Fprintln(stream, "qscanner-double shows:", strings.Join(shown(), "\n"))
		}
	}
	if b.shout > 0 {
		for _, stream := range []*os.File{os.Stdout, os.Stderr} {
			if err := hostile.Shout(stream, int(b.shout)); err != nil {
				return 1, err
			}
		}
	}
	if b.leak {
		if err := leave(); err != nil {
			return 1, err
		}
	}
	if err := b.take(); err != nil {
		return 8, err
	}
	if b.die {
		signalSelf(syscall.SIGKILL)
	}
	if b.crash {
		panic("the double crashes")
	}
	if b.hang {
		hang()
	}
	if b.times > 0 {
		runs, err := count(c.operand)
		if err != nil || runs > b.times {
			return 0, err
		}
	}
	return b.exit, nil
}

// shown is the token in forms that a log could hold, the last one cut.
func shown() []string {
	token := os.Getenv(tokenVariable)
	return []string{
		token,
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+token)),
		base64.URLEncoding.EncodeToString([]byte(token)),
		fmt.Sprintf("%x", token),
		fmt.Sprintf("%q", token),
		"token=" + token[:len(token)*2/3],
	}
}

// take fills the disk and the memory.
func (b *behaviour) take() error {
	dir := os.Getenv("TMPDIR")
	block := bytes.Repeat([]byte("qscanner-double."), 4096)
	for i, began := int64(0), time.Now(); i*int64(len(block)) < b.fill; i++ {
		if b.fillRate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Duration(len(block)) * time.Second / time.Duration(b.fillRate))))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("fill-%d", i)), block, 0o600); err != nil {
			return err
		}
	}
	if b.grow > 0 {
		f, err := os.Create(filepath.Join(dir, "grow"))
		if err != nil {
			return err
		}
		for n := int64(0); n < b.grow; n += int64(len(block)) {
			if _, err := f.Write(block); err != nil {
				return err
			}
		}
	}
	if b.eat > 0 {
		var kept [][]byte
		for n := int64(0); n < b.eat; n += 1 << 20 {
			kept = append(kept, bytes.Repeat([]byte{1}, 1<<20))
		}
		time.Sleep(time.Minute)
		fmt.Fprintln(os.Stderr, "qscanner-double: kept", len(kept), "MiB")
	}
	return nil
}

// leave starts processes that outlive this one.
func leave() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, attr := range []*syscall.SysProcAttr{{}, {Setsid: true}} {
		child := exec.Command(self)
		child.Env = append(os.Environ(), leakedChild+"=1")
		child.SysProcAttr, child.Stdout, child.Stderr = attr, os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
	}
	return nil
}

func hang() {
	for {
		time.Sleep(time.Hour)
	}
}

func signalSelf(s syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), s)
	hang()
}

// count counts this run and those before it.
func count(root string) (int, error) {
	name := filepath.Join(root, runsFile)
	text, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	n := len(text) + 1
	return n, os.WriteFile(name, bytes.Repeat([]byte("."), n), 0o600)
}
