package osrelease

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
)

func TestRead(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  engine.OS
	}{
		{
			name: "Debian's file, quoted and unquoted values",
			files: map[string]string{"etc/os-release": `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
`},
			want: engine.OS{Family: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)", Codename: "bookworm"},
		},
		{
			name:  "usr/lib is read when etc has none",
			files: map[string]string{"usr/lib/os-release": "ID=rocky\nVERSION_ID='9.4'\nCPE_NAME=\"cpe:/o:rocky:rocky:9::baseos\"\nNAME=Rocky\n"},
			want:  engine.OS{Family: "rocky", Version: "9.4", Name: "Rocky 9.4", CPE: "cpe:/o:rocky:rocky:9::baseos"},
		},
		{
			name:  "an empty etc/os-release does not hide the other",
			files: map[string]string{"etc/os-release": "", "usr/lib/os-release": "ID=alpine"},
			want:  engine.OS{Family: "alpine"},
		},
		{
			name:  "a rolling distribution's build is its version",
			files: map[string]string{"etc/os-release": "ID=arch\nNAME=Arch\nBUILD_ID=rolling"},
			want:  engine.OS{Family: "arch", Version: "rolling", Name: "Arch rolling"},
		},
		{
			name:  "CentOS 6 has only redhat-release",
			files: map[string]string{"etc/redhat-release": "CentOS release 6.10 (Final)\n"},
			want:  engine.OS{Family: "centos", Version: "6.10", Name: "CentOS release 6.10 (Final)"},
		},
		{
			name:  "commands and expansions are text",
			files: map[string]string{"etc/os-release": "ID=x\nPRETTY_NAME=\"$(touch /pwned) `id` ${HOME} \\\"q\\\"\"\n"},
			want:  engine.OS{Family: "x", Name: "$(touch /pwned) `id` ${HOME} \"q\""},
		},
		{
			name:  "escapes and invalid UTF-8 become visible",
			files: map[string]string{"etc/os-release": "ID=x\nPRETTY_NAME=\"\x1b[2J\xff\"\n"},
			want:  engine.OS{Family: "x", Name: `\x1b[2J\xff`},
		},
		{
			name:  "a file without an identity names no system",
			files: map[string]string{"etc/os-release": "random words\n#ID=x\nVERSION_ID=3\n"},
		},
		{
			name:  "only the beginning of an endless file is read",
			files: map[string]string{"etc/os-release": "ID=x\nNAME=" + strings.Repeat("y", 1<<20)},
			want:  engine.OS{Family: "x", Name: strings.Repeat("y", maxValue-3) + "…"},
		},
		{name: "an image without any names no system"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if diff := cmp.Diff(tt.want, Read(root)); diff != "" {
				t.Errorf("Read (-want +got):\n%s", diff)
			}
		})
	}
}
