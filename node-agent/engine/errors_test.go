package engine

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

func TestErrorCarriesReasonAndCauseThroughWrapping(t *testing.T) {
	err := fmt.Errorf("scan a.sif: %w", &Error{Reason: v1alpha1.ReasonEmptyInventory, Message: "nothing found", Err: io.ErrUnexpectedEOF})
	if got := ReasonOf(err); got != v1alpha1.ReasonEmptyInventory {
		t.Errorf("ReasonOf = %q, want %q", got, v1alpha1.ReasonEmptyInventory)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if want := "scan a.sif: nothing found: unexpected EOF"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestErrorOfAnExecutedEngineNamesItsExitCode(t *testing.T) {
	err := &Error{Reason: v1alpha1.ReasonEngineFailed, Message: "qscanner stopped", ExitCode: 17}
	if want := "qscanner stopped (exit code 17)"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}

func TestErrorWithoutReasonIsAnEngineFailure(t *testing.T) {
	if got := ReasonOf(io.EOF); got != v1alpha1.ReasonEngineFailed {
		t.Errorf("ReasonOf = %q, want %q", got, v1alpha1.ReasonEngineFailed)
	}
}
