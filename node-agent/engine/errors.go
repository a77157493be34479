package engine

import (
	"errors"
	"fmt"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
)

// Error is an engine's explained failure.
type Error struct {
	// Reason is one of the API's reasons of an image's outcome, such as v1alpha1.ReasonEmptyInventory.
	Reason string
	// Message says what failed, on what, and what to change, for a reader of kubectl describe. Printable.
	Message string
	// ExitCode is an executed engine's raw exit code; 0 for engines that are not executed.
	ExitCode int
	// Err is the cause, if any.
	Err error
}

// Error returns the message, the exit code where there is one, and the cause.
func (e *Error) Error() string {
	s := e.Message
	if e.ExitCode != 0 {
		s += fmt.Sprintf(" (exit code %d)", e.ExitCode)
	}
	if e.Err != nil {
		s += ": " + Text(e.Err.Error(), maxCause)
	}
	return s
}

// maxCause bounds the text of a cause: an engine's own error may quote the image at length.
const maxCause = 512

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the reason of err, or v1alpha1.ReasonEngineFailed when err carries none.
func ReasonOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return v1alpha1.ReasonEngineFailed
}
