package rootfs

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/sifscan/sifscan-operator/node-agent/sif"
	"github.com/sifscan/sifscan-operator/node-agent/squashfs"
)

// Reasons, spelled as in the conditions of the API.
const (
	ReasonCorruptImage     = "CorruptImage"     // the image contradicts itself, or is cut off
	ReasonUnsupported      = "Unsupported"      // a valid image of a kind that is not read
	ReasonIncomplete       = "Incomplete"       // readable, but not all that runs is shown
	ReasonChanging         = "Changing"         // the image was modified while it was read
	ReasonPermissionDenied = "PermissionDenied" // the reader may not read the file
	ReasonTmpTooSmall      = "TmpTooSmall"      // extraction would need more than there is, or than allowed
	ReasonTmpExhausted     = "TmpExhausted"     // the disk became full during extraction
	ReasonVanished         = "NoTargets"        // a live container ended before it was read
)

// Error is why an image, or a part of it, cannot be read. Message names the
// defect and, where its owner can do something, what.
type Error struct {
	Reason  string
	Message string
	err     error
}

func (e *Error) Error() string { return e.Reason + ": " + e.Message }

// Unwrap returns the error of the layer below.
func (e *Error) Unwrap() error { return e.err }

func unsupported(format string, args ...any) *Error {
	return &Error{Reason: ReasonUnsupported, Message: fmt.Sprintf(format, args...)}
}

func corrupt(format string, args ...any) *Error {
	return &Error{Reason: ReasonCorruptImage, Message: fmt.Sprintf(format, args...)}
}

// translate gives errors of the readers their reason. Others, such as an I/O
// error of the storage, stay what they are: they say nothing about the image.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var already *Error
	var fromSquashfs *squashfs.Error
	var fromSIF *sif.Error
	reason := ""
	switch {
	case errors.As(err, &already):
		return err
	case errors.As(err, &fromSquashfs):
		reason = map[squashfs.Kind]string{squashfs.Corrupt: ReasonCorruptImage, squashfs.Unsupported: ReasonUnsupported,
			squashfs.Shrunk: ReasonChanging}[fromSquashfs.Kind]
	case errors.As(err, &fromSIF):
		reason = map[sif.Kind]string{sif.Corrupt: ReasonCorruptImage, sif.Unsupported: ReasonUnsupported,
			sif.Shrunk: ReasonChanging}[fromSIF.Kind]
	case errors.Is(err, fs.ErrPermission):
		reason = ReasonPermissionDenied
	default:
		return err
	}
	return &Error{Reason: reason, Message: err.Error(), err: err}
}
