package volume

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/sifscan/sifscan-operator/node-agent/printable"
)

// DefaultFileNames are the names images usually have: SIF, its older names, plain squashfs, and ext3 images.
var DefaultFileNames = []string{"*.sif", "*.simg", "*.sqsh", "*.squashfs", "*.img"}

// Spec says what to look for on a volume. Paths and patterns are relative to the volume or begin with its mount path.
// Patterns are those of doublestar: * and ? within a name, ** for any number of directories, [a-z], {a,b/c}, and \ before
// a character that stands for itself.
type Spec struct {
	// Paths are files, directories, and patterns; ["**"] when empty. A file is a target whatever its name. A directory is
	// a target if it is a sandbox image, else it is searched. What a pattern or a directory yields must also have one of
	// FileNames.
	Paths []string
	// Files are paths relative to the volume that stand for themselves, whatever characters are in them; otherwise as Paths,
	// which are then not defaulted. Root.Relative makes them.
	Files []string
	// Exclude are patterns for what not to visit; a directory that matches is not entered. They are compared with paths
	// as they are on the volume, after links. A file in Paths is not affected.
	Exclude []string
	// FileNames are patterns for the last name of a path; DefaultFileNames when empty.
	FileNames []string
	// Limits bound the search.
	Limits Limits
}

// Limits bound a search. Zero means the default.
type Limits struct {
	// Entries is how many directory entries are looked at [50,000,000].
	Entries int
	// Depth is how many directories may lie inside each other [128]. An open descriptor is held for each.
	Depth int
	// Memory is roughly how many bytes names and results may take [536,870,912].
	Memory int64
}

const (
	defaultEntries = 50_000_000
	defaultDepth   = 128
	defaultMemory  = 512 << 20
)

func (l Limits) withDefaults() Limits {
	if l.Entries <= 0 {
		l.Entries = defaultEntries
	}
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	if l.Memory <= 0 {
		l.Memory = defaultMemory
	}
	return l
}

// plan is a Spec whose paths and patterns were understood.
type plan struct {
	exact     []string  // paths without wildcards, relative
	patterns  []pattern // the others
	exclude   *tree
	fileNames []string
	limits    Limits
	wanted    []string // Paths as given or defaulted, and Files, for messages
}

// pattern is one alternative of a path with wildcards.
type pattern struct {
	base string    // the directory its fixed beginning names, "." for the root
	rest []segment // begins with the first wildcard
}

// compile checks spec. Errors are of type *Error, with the reason InvalidSpec.
func compile(mountPath string, spec Spec) (plan, error) {
	paths := spec.Paths
	if len(paths)+len(spec.Files) == 0 {
		paths = []string{"**"}
	}
	p := plan{exclude: &tree{}, limits: spec.Limits.withDefaults(), wanted: slices.Concat(paths, spec.Files), exact: slices.Clone(spec.Files)}
	for i, given := range paths {
		lists, err := segmentsOf(mountPath, given)
		if err != nil {
			return plan{}, invalid("paths", i, given, err)
		}
		for _, segments := range lists {
			p.want(segments)
		}
	}
	for i, given := range spec.Exclude {
		lists, err := segmentsOf(mountPath, given)
		if err == nil && slices.ContainsFunc(lists, func(s []segment) bool { return len(s) == 0 }) {
			err = errors.New("excludes the whole volume")
		}
		if err != nil {
			return plan{}, invalid("exclude", i, given, err)
		}
		for _, segments := range lists {
			p.exclude.add(segments, 0)
		}
	}
	names := spec.FileNames
	if len(names) == 0 {
		names = DefaultFileNames
	}
	for i, given := range names {
		patterns, err := fileNamePatterns(given)
		if err != nil {
			return plan{}, invalid("fileNames", i, given, err)
		}
		p.fileNames = append(p.fileNames, patterns...)
	}
	return p, nil
}

// want files one alternative of a path under exact paths or patterns.
func (p *plan) want(segments []segment) {
	var fixed []string
	for len(segments) > 0 && segments[0].kind == literal {
		fixed = append(fixed, segments[0].text)
		segments = segments[1:]
	}
	if len(segments) == 0 {
		p.exact = append(p.exact, joined(fixed))
		return
	}
	p.patterns = append(p.patterns, pattern{base: joined(fixed), rest: segments})
}

// fileName reports whether name is one that images have.
func (p *plan) fileName(name string) bool {
	for _, pattern := range p.fileNames {
		if doublestar.MatchUnvalidated(pattern, name) {
			return true
		}
	}
	return false
}

func segmentsOf(mountPath, given string) ([][]segment, error) {
	if given == "" {
		return nil, errors.New("is empty: remove it, or write ** for everything")
	}
	if slices.Contains(components(given), "..") {
		return nil, errors.New(`contains "..": write the path from the top of the volume`)
	}
	if strings.HasPrefix(given, "/") {
		inside, ok := stripMountPath(mountPath, given)
		if !ok {
			return nil, fmt.Errorf("is not on the volume: begin with %s (mountPath), or leave the leading / out", printable.Escape(mountPath))
		}
		given = inside
	}
	return parsePattern(given)
}

// fileNamePatterns checks a pattern for one name and replaces its braces, which doublestar would try in every combination
// on every name.
func fileNamePatterns(given string) ([]string, error) {
	switch {
	case given == "":
		return nil, errors.New("is empty")
	case strings.Contains(given, "/"):
		return nil, errors.New("contains a /: a file name has no directories, put those in paths")
	}
	if err := checkPattern(given); err != nil {
		return nil, err
	}
	return expandBraces(given)
}

func invalid(field string, index int, given string, err error) error {
	return &Error{Reason: ReasonInvalidSpec, Err: err, Message: fmt.Sprintf(`%s[%d] "%s": %s`, field, index, quoted([]string{given}), err)}
}

// Relative makes a path relative to the volume from one that a user wrote: relative already, or beginning with the
// volume's mount path. It looks at no file.
func (r *Root) Relative(given string) (string, error) {
	names := components(given)
	if given == "" || strings.IndexByte(given, 0) >= 0 || slices.Contains(names, "..") {
		return "", &Error{Reason: ReasonInvalidSpec, Path: given, Message: `is empty or contains ".." or a NUL byte: write the path from the top of the volume`}
	}
	if strings.HasPrefix(given, "/") {
		inside, ok := stripMountPath(r.mountPath, given)
		if !ok {
			return "", &Error{Reason: ReasonInvalidSpec, Path: given, Message: "is not on the volume, which users see at " + printable.Escape(r.mountPath)}
		}
		names = components(inside)
	}
	return joined(names), nil
}

// stripMountPath returns what follows mountPath in the absolute path p.
func stripMountPath(mountPath, p string) (string, bool) {
	mount, names := components(mountPath), components(p)
	if len(names) < len(mount) || !slices.Equal(names[:len(mount)], mount) {
		return "", false
	}
	return joined(names[len(mount):]), true
}

func cleanMountPath(mountPath string) (string, error) {
	switch {
	case mountPath == "":
		return "/", nil
	case !strings.HasPrefix(mountPath, "/"), strings.IndexByte(mountPath, 0) >= 0, slices.Contains(components(mountPath), ".."):
		return "", &Error{Reason: ReasonInvalidSpec, Message: fmt.Sprintf(
			`mountPath "%s": write the absolute path at which users see the volume, such as /shared/containers`, printable.Escape(mountPath))}
	}
	return path.Clean(mountPath), nil
}
