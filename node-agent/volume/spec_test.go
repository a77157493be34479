package volume

import (
	"strings"
	"testing"
)

func TestASpecThatCannotBeFollowedSaysWhatToChange(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec Spec
		says string
	}{
		{"a path upwards", Spec{Paths: []string{"a.sif", "../b.sif"}}, `paths[1] "../b.sif": contains "..": write the path from the top`},
		{"a path that goes up and down", Spec{Paths: []string{"/shared/containers/../x"}}, `contains ".."`},
		{"another place", Spec{Paths: []string{"/scratch/a.sif"}}, `paths[0] "/scratch/a.sif": is not on the volume: begin with /shared/containers (mountPath)`},
		{"a neighbour with the same beginning", Spec{Paths: []string{"/shared/containers2/a.sif"}}, "is not on the volume"},
		{"a glob over the mount path", Spec{Paths: []string{"/shared/*/a.sif"}}, "is not on the volume"},
		{"an empty path", Spec{Paths: []string{""}}, `paths[0] "": is empty`},
		{"a bad glob", Spec{Paths: []string{"a/[b"}}, `paths[0] "a/[b": is not a valid pattern`},
		{"control characters are shown", Spec{Paths: []string{"../\x1b[2J"}}, `paths[0] "../\x1b[2J"`},
		{"a bad exclude", Spec{Exclude: []string{"ok/**", "{a"}}, `exclude[1] "{a": is not a valid pattern`},
		{"an exclude of everything", Spec{Exclude: []string{"/shared/containers"}}, "excludes the whole volume"},
		{"a file name with a directory", Spec{FileNames: []string{"*.sif", "images/*.sif"}}, `fileNames[1] "images/*.sif": contains a /`},
		{"an empty file name", Spec{FileNames: []string{""}}, "fileNames[0]"},
		{"a bad file name", Spec{FileNames: []string{"[.sif"}}, "is not a valid pattern"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, err := Discover(t.Context(), newDisk(t).files("a.sif").root("/shared/containers"), tc.spec)
			e := wantError(t, err, ReasonInvalidSpec)
			if !strings.Contains(e.Error(), tc.says) {
				t.Errorf("got %s, want it to say %s", e, tc.says)
			}
			if found.Entries != 0 {
				t.Error("the volume was read nevertheless")
			}
		})
	}
}

func TestRelativeAndUserPathAreEachOthersInverse(t *testing.T) {
	for _, tc := range []struct{ mount, given, relative, user string }{
		{"", "a/b.sif", "a/b.sif", "/a/b.sif"},
		{"/", "/a/b.sif", "a/b.sif", "/a/b.sif"},
		{"/shared/containers/", "/shared/containers/a.sif", "a.sif", "/shared/containers/a.sif"},
		{"/shared/containers", "shared/containers/a.sif", "shared/containers/a.sif", "/shared/containers/shared/containers/a.sif"},
		{"/shared/containers", "/shared//containers/./", ".", "/shared/containers"},
		{"/shared", "./a\xff//b", "a\xff/b", "/shared/a\xff/b"},
	} {
		r := newDisk(t).root(tc.mount)
		got, err := r.Relative(tc.given)
		if err != nil || got != tc.relative || r.UserPath(got) != tc.user {
			t.Errorf("%q under %q: got %q (%v) and %q, want %q and %q", tc.given, tc.mount, got, err, r.UserPath(got), tc.relative, tc.user)
		}
	}
	r := newDisk(t).root("/shared")
	for _, bad := range []string{"", "..", "a/../b", "/other/a", "/sharedx", "a\x00"} {
		_, err := r.Relative(bad)
		wantError(t, err, ReasonInvalidSpec)
	}
}

// FuzzPaths shows that nothing a user writes, and nothing a link says, becomes a path out of the volume.
func FuzzPaths(f *testing.F) {
	for _, seed := range [][2]string{{"/", "/a/b"}, {"/shared/containers", "/shared/containers/../x"}, {"/s", `/s/\.\./x`}, {"/s", "{a,..}/b"}, {"/[a]", "/[a]/*"}, {"/s", "a\x00"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, mount, given string) {
		mountPath, err := cleanMountPath(mount)
		if err != nil {
			return
		}
		r := &Root{mountPath: mountPath}
		if p, err := r.Relative(given); err == nil {
			inside(t, p)
			if back, err := r.Relative(r.UserPath(p)); err != nil || back != p {
				t.Fatalf("%q is shown as %q, which means %q (%v)", p, r.UserPath(p), back, err)
			}
		}
		p, err := compile(mountPath, Spec{Paths: []string{given}, Exclude: []string{given}})
		if err != nil {
			return
		}
		for _, path := range p.exact {
			inside(t, path)
		}
		for _, pattern := range p.patterns {
			inside(t, pattern.base)
			if pattern.rest[0].kind == literal {
				t.Fatalf("%q leaves a plain name out of the base", given)
			}
			for _, s := range pattern.rest {
				if s.text == "" || s.text == ".." || s.kind == literal && strings.ContainsAny(s.text, "/\x00") {
					t.Fatalf("%q has the segment %q", given, s.text)
				}
			}
		}
	})
}

func inside(t *testing.T, p string) {
	t.Helper()
	if p == "" || strings.HasPrefix(p, "/") || strings.IndexByte(p, 0) >= 0 {
		t.Fatalf("%q is no relative path", p)
	}
	for name := range strings.SplitSeq(p, "/") {
		if name == ".." || name == "" {
			t.Fatalf("%q has a name that leads elsewhere", p)
		}
	}
}
