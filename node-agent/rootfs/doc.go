// Package rootfs opens a container image of any kind that HPC sites have and
// shows its root file system in place, without extracting it.
//
// Open recognises an image by its content, never by its name: SIF with a
// SquashFS partition, SquashFS alone or behind a launch line, and, refused with
// a reason, encrypted partitions, ext3 and OCI-SIF. OpenDirectory does the same
// for a sandbox. What the image is can be told (Image.Info) even where its
// content cannot be read (Image.FS).
//
// An FS never leaves the image: symlinks, absolute ones too, are followed below
// the image's root. Names are bytes and need not be UTF-8. Errors about the
// image are *Error and carry one of the reasons a ScanReport knows; FS.Err
// returns the first one that any reader met, since scanners log such errors and
// go on.
//
// Extract is confined without openat2(RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS): it
// names one component at a time, relative to the descriptor of the directory it
// made or opened itself (mkdirat and openat with O_NOFOLLOW, O_EXCL for files),
// in a directory that nobody else may enter until it is whole. A single
// component without a slash, which is not "..", cannot lead anywhere else, and
// no seccomp profile or kernel before 5.6 needs another way. What a hard link
// refers to is a path of names that the extraction made.
package rootfs
