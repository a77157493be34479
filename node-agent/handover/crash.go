// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package handover

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
)

// crashFile is where Go's runtime leaves a copy of what it says of a crash that nothing recovers from: a stack that overflows, a
// map that is written by two at once, a panic of a goroutine. It then ends the process with exit code 2, which is also that of a
// usage error. GOTRACEBACK=crash would not tell the two apart: the first process of a container does not die of its own SIGABRT
// (kernel, kernel/signal.c, SIGNAL_UNKILLABLE), and the runtime then ends it with 2 as well (runtime, dieFromSignal).
const crashFile = "crash.txt"

// TellCrashes makes a crash of this process known to the reporter that reads the results directory.
func TellCrashes(results string) error {
	f, err := os.OpenFile(filepath.Join(results, crashFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make the file for crashes: %w", err)
	}
	return errors.Join(debug.SetCrashOutput(f, debug.CrashOptions{}), f.Close()) // the runtime keeps a copy of the descriptor
}

// Crashed reports whether the scanner that wrote the results directory has crashed.
func Crashed(results string) bool {
	info, err := os.Lstat(filepath.Join(results, crashFile))
	return err == nil && info.Size() > 0
}
