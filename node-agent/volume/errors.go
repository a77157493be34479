package volume

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// Reasons an Error can have. They are the API's reasons of the same name; this package stays free of API types.
const (
	// ReasonNoTargets: what was asked for does not exist on the volume.
	ReasonNoTargets = "NoTargets"
	// ReasonPermissionDenied: the file system refuses the scanner's user (EACCES, EPERM).
	ReasonPermissionDenied = "PermissionDenied"
	// ReasonUnsupported: a name that can hold no image: a FIFO, socket, device or plain directory, a link that leads
	// outside the volume or nowhere.
	ReasonUnsupported = "Unsupported"
	// ReasonChanging: somebody changed the path while it was being opened. To be tried again.
	ReasonChanging = "Changing"
	// ReasonBackendUnreachable: the volume's storage answered with an error of its own (EIO, ETIMEDOUT, …). To be tried
	// again.
	ReasonBackendUnreachable = "BackendUnreachable"
	// ReasonInvalidSpec: a path or pattern was written in a way that cannot be followed.
	ReasonInvalidSpec = "InvalidSpec"
)

// Error says why one path of a volume could not be used.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Path is relative to the volume's root, raw bytes. It is empty when the error is about no single path.
	Path string
	// Message is a sentence without the path, safe to print.
	Message string
	// Err is the kernel's answer, where there was one.
	Err error
}

// Error returns path and message in printable form.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return printable.Escape(e.Path) + ": " + e.Message
}

// Unwrap returns the kernel's answer, or nil.
func (e *Error) Unwrap() error { return e.Err }

// refused builds the Error for what errno, the kernel's answer about path, means to a user. An answer nobody foresaw
// counts as the storage's failure: it is shown and tried again, never taken for "nothing there".
func refused(path string, err error) *Error {
	e := &Error{Path: path, Err: err}
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		e.Reason, e.Message = ReasonPermissionDenied, "permission denied for the user and groups the scanner runs as"
	case vanished(err):
		e.Reason, e.Message = ReasonNoTargets, "does not exist on the volume"
	case errors.Is(err, unix.ENAMETOOLONG):
		e.Reason, e.Message = ReasonUnsupported, "the name is longer than the file system allows"
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ESTALE):
		// ELOOP: a link has taken the place of a name that was none a moment ago. EAGAIN: a lease on the file, which
		// O_NONBLOCK does not wait for. ESTALE: the NFS server replaced the file.
		e.Reason, e.Message = ReasonChanging, "was changed while it was being opened"
	default:
		e.Reason, e.Message = ReasonBackendUnreachable, "the volume's storage answered: "+err.Error()
	}
	return e
}

// vanished reports whether err means that a name is not, or no longer, there.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

// quoted joins paths for a message, at most three of them.
func quoted(paths []string) string {
	const shown = 3
	var b strings.Builder
	for i, p := range paths {
		if i == shown {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(printable.Truncate(printable.Escape(p), 256))
	}
	return b.String()
}
