package volume

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxNamed is how many paths are named for each reason and each Tally; all are counted. Each becomes an entry of an
// inventory, of which a chunk holds 2,000.
const maxNamed = 20_000

// Target is one image. Paths are relative to the volume, raw bytes.
type Target struct {
	// Path is the first, in byte order, of the paths without links that lead to the image.
	Path string
	// Aliases are its other names, sorted: hard links, and symbolic links that were asked for or met.
	Aliases []string
	// Explicit: the user wrote one of the names, without wildcards.
	Explicit bool
	Info     Info
}

// Tally counts paths and names the first of them.
type Tally struct {
	Count int
	Names []string
}

func (t *Tally) add(path string) {
	t.Count++
	if len(t.Names) < maxNamed {
		t.Names = append(t.Names, path)
	}
}

// Found is what a search saw.
type Found struct {
	// Targets are sorted by path. Their content was not looked at, and whether it can be read is not known yet.
	Targets []Target
	// Failures name what was asked for or has an image's name and cannot be scanned, and directories that cannot be
	// searched; sorted by path. Of those the user did not write himself, the first 20,000 for each reason are kept.
	Failures []*Error
	// FailureCounts counts all failures by reason.
	FailureCounts map[string]int
	// Vanished counts names that were deleted between being listed and being looked at.
	Vanished Tally
	// OtherFilesystems are directories not entered because another file system is mounted there.
	OtherFilesystems Tally
	// Sandboxes are sandbox images met and not entered. To scan one, its path has to be written in Paths.
	Sandboxes Tally
	// Stopped says which limit ended the search before its end; "" if none did. Targets is then incomplete.
	Stopped string
	// Entries and Directories are how many were read.
	Entries, Directories int

	excluded   int
	otherNames Tally
	written    map[string]bool // the paths of explicit failures
}

// fail records a failure, once for a path that is both written and found by a pattern; written ones come first. They are
// always kept by name: there are no more of them than the user wrote.
func (f *Found) fail(e *Error, explicit bool) {
	if f.FailureCounts == nil {
		f.FailureCounts, f.written = map[string]int{}, map[string]bool{}
	}
	if f.written[e.Path] {
		return
	}
	if explicit {
		f.written[e.Path] = true
	}
	f.FailureCounts[e.Reason]++
	if explicit || f.FailureCounts[e.Reason] <= maxNamed {
		f.Failures = append(f.Failures, e)
	}
}

// finish puts everything in the order it is promised in.
func (f *Found) finish() {
	for i := range f.Targets {
		t := &f.Targets[i]
		slices.Sort(t.Aliases)
		t.Aliases = slices.Compact(t.Aliases)
		t.Aliases = slices.DeleteFunc(t.Aliases, func(alias string) bool { return alias == t.Path })
	}
	slices.SortFunc(f.Targets, func(a, b Target) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortStableFunc(f.Failures, func(a, b *Error) int { return cmp.Compare(a.Path, b.Path) })
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// nothing explains a search without targets to whoever wrote the Spec.
func (f *Found) nothing(p plan) *Error {
	var b strings.Builder
	fmt.Fprintf(&b, "nothing to scan in %s with file names %s: saw %s in %s",
		quoted(p.wanted), strings.Join(p.fileNames, " "), counted(f.Entries, "entry", "entries"), counted(f.Directories, "directory", "directories"))
	for _, reason := range slices.Sorted(maps.Keys(f.FailureCounts)) {
		fmt.Fprintf(&b, "; %d failed with %s", f.FailureCounts[reason], reason)
	}
	if f.otherNames.Count > 0 {
		fmt.Fprintf(&b, "; %s of other names not opened (%s): name them one by one, or, in a SIFScan, add a pattern to fileNames",
			counted(f.otherNames.Count, "file", "files"), quoted(f.otherNames.Names))
	}
	if f.excluded > 0 {
		fmt.Fprintf(&b, "; %d excluded", f.excluded)
	}
	if f.Sandboxes.Count > 0 {
		fmt.Fprintf(&b, "; %s not entered (%s): name them one by one to scan them",
			counted(f.Sandboxes.Count, "sandbox directory", "sandbox directories"), quoted(f.Sandboxes.Names))
	}
	if f.OtherFilesystems.Count > 0 {
		fmt.Fprintf(&b, "; %s on another file system not entered (%s)",
			counted(f.OtherFilesystems.Count, "directory", "directories"), quoted(f.OtherFilesystems.Names))
	}
	if f.Stopped != "" {
		b.WriteString("; " + f.Stopped)
	}
	return &Error{Reason: ReasonNoTargets, Message: b.String()}
}
