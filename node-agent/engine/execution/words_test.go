package execution

import "testing"

func TestWhatAProgramSaidLastTellsWhyItFailed(t *testing.T) {
	const trace = "\n[signal SIGSEGV: segmentation violation]\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:3\nr15  0x0\n"
	for name, c := range map[string]struct {
		out     Outcome
		want    string
		crashed bool
	}{
		"the last line of its errors":          {Outcome{Stderr: "one\n two\tthree \n\n", Stdout: "four"}, "two three", false},
		"the last line of its output":          {Outcome{Stderr: " \n", Stdout: "three\nfour"}, "four", false},
		"nothing":                              {Outcome{}, "", false},
		"a panic":                              {Outcome{Stderr: "log\npanic: index out of range" + trace}, "panic: index out of range", true},
		"a runtime's error":                    {Outcome{Stderr: "fatal error: stack overflow" + trace}, "fatal error: stack overflow", true},
		"a signal":                             {Outcome{Stderr: "SIGSEGV: segmentation violation" + trace}, "SIGSEGV: segmentation violation", true},
		"a panic of which the cause is lost":   {Outcome{Stderr: trace}, "r15 0x0", false},
		"a line that looks like one, no crash": {Outcome{Stderr: "panic: no\nusage: x"}, "usage: x", false},
	} {
		t.Run(name, func(t *testing.T) {
			if line, crashed := c.out.Said(); line != c.want || crashed != c.crashed {
				t.Errorf("%q, %v; want %q, %v", line, crashed, c.want, c.crashed)
			}
		})
	}
}
