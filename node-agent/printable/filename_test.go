package printable

import (
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"what is plain stays":                {"base_v1.2-rc.sif", "base_v1.2-rc.sif"},
		"no byte leads out of the directory": {"../a/b", "_a_b"},
		"nothing is hidden":                  {".bashrc", "bashrc"},
		"nothing is empty":                   {"...", "_"},
		"nothing needs a quote":              {"a b$(x)\n\x1b[31m'\".sif", "a_b__x____31m__.sif"},
		"each character is one underscore":   {"é日", "__"},
		"no byte but UTF-8 passes":           {"\xff\xfe", "__"},
		"long names are cut":                 {strings.Repeat("a", 300), strings.Repeat("a", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := FileName(tc.in); got != tc.want {
				t.Errorf("FileName(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}
