// Command qscanner-double stands in for Qualys' qscanner in tests: the real one is licensed software that no test can have.
// It is as strict as can be about how it is called, so that what it accepts is what is known of qscanner and nothing else:
// any other command, flag or value, a missing or visible token, a variable nobody named, a directory outside the scan's own
// ends it with exit code 2. What it writes has the names and shapes that qscanner's users describe, and says everywhere that
// it comes from a double; its vulnerabilities are invented.
//
// A file .qscanner-double in the scanned directory makes it misbehave; see behaviour.go.
package main

import (
	"fmt"
	"os"
	"time"
)

// version the double says it has.
const version = "double-4.8.0"

// Exit codes that the double gives by itself.
const (
	exitUsage      = 2
	exitFilesystem = 5
	exitOSNotFound = 15
	exitWrite      = 30
)

func main() {
	if os.Getenv(leakedChild) != "" {
		time.Sleep(time.Hour) // longer than any test
		return
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	call, err := parse(args)
	if err == nil {
		err = call.check(os.Environ())
	}
	if err != nil {
		return say(exitUsage, err)
	}
	if info, err := os.Lstat(call.operand); err != nil || !info.IsDir() {
		return say(exitFilesystem, fmt.Errorf("%s is no real directory (%v)", call.operand, err))
	}
	behaviour, err := readBehaviour(call.operand)
	if err != nil {
		return say(exitUsage, err)
	}
	code, err := behaviour.before(call)
	if err != nil || code != 0 && !partial[code] {
		return say(code, err)
	}
	image, err := read(call)
	if err != nil {
		return say(exitOSNotFound, err)
	}
	if behaviour.noPackages {
		image.packages = nil
	}
	if err := write(call, image, behaviour); err != nil {
		return say(exitWrite, err)
	}
	return say(code, nil)
}

// partial are the exit codes after which qscanner's files are there.
var partial = map[int]bool{33: true, 37: true, 39: true, 40: true, 41: true, 42: true, 43: true}

// say prints how it ends, as the last line of standard error.
func say(code int, err error) int {
	switch {
	case err != nil:
		if code == 0 {
			code = 1
		}
		fmt.Fprintf(os.Stderr, "qscanner-double: %v\n", err)
	case code != 0:
		fmt.Fprintf(os.Stderr, "qscanner-double: told to exit with %d\n", code)
	}
	return code
}
