package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// call is a command line that was understood.
type call struct {
	flags   map[string][]string
	command string
	operand string
}

// kind of a flag's value.
type kind func(value string) error

func text(v string) error {
	if v == "" {
		return errors.New("is empty")
	}
	return nil
}

func oneOf(allowed ...string) kind {
	return func(v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("is %q, not one of %q", v, allowed)
		}
		return nil
	}
}

func listOf(allowed ...string) kind {
	return func(v string) error {
		for _, item := range strings.Split(v, ",") {
			if err := oneOf(allowed...)(item); err != nil {
				return err
			}
		}
		return nil
	}
}

func number(v string) error { _, err := strconv.ParseUint(v, 10, 16); return err }

func duration(v string) error {
	d, err := time.ParseDuration(v)
	if err == nil && d <= 0 {
		err = errors.New("is not positive")
	}
	return err
}

func matching(pattern string) kind {
	re := regexp.MustCompile(pattern)
	return func(v string) error {
		if !re.MatchString(v) {
			return fmt.Errorf("is %q and does not match %s", v, pattern)
		}
		return nil
	}
}

// flags that are documented or that several callers use; --access-token is not among them: it can be seen by everybody.
var flags = map[string]kind{
	"pod":                    matching(`^(US[1-4]|EU[1-3]|IN1|CA1|AE1|UK1|AU1|KSA1)$`),
	"gateway-url":            matching(`^https?://`),
	"cert-path":              text,
	"mode":                   oneOf("inventory-only", "scan-only", "get-report", "evaluate-policy"),
	"scan-types":             listOf("pkg", "fileinsight", "secret", "malware", "compliance"),
	"format":                 listOf("json", "spdx", "spdx-tlv", "cyclonedx", "db"),
	"report-format":          listOf("table", "sarif", "json"),
	"output-dir":             text,
	"cache-dir":              text,
	"scan-timeout":           duration,
	"log-level":              oneOf("debug", "info", "warn", "error"),
	"proxy":                  matching(`^https?://`),
	"exclude-dirs":           text,
	"exclude-files":          text,
	"disable-sca-languages":  text,
	"secret-config-file":     text,
	"policy-tags":            text,
	"max-network-retries":    number,
	"network-retry-wait-min": duration,
	"network-retry-wait-max": duration,
	"shell-commands":         matching(`^uname -a=Linux [A-Za-z0-9 ._()/+-]{1,200}$`),
	"scan-target-info":       matching(`^(asset_name|provider_name|asset_tag)=.+$`),
	"platform":               matching(`^linux/(amd64|arm64)$`),
}

// switches may stand alone or with "=true".
var switches = []string{"offline-scan", "skip-java-db-update", "skip-verify-tls"}

// commands and what their operand is called.
var commands = map[string]string{"rootfs": "directory", "image": "reference", "repo": "directory", "tar": "archive"}

// parse understands a command line: flags, command, operand.
func parse(args []string) (*call, error) {
	c := &call{flags: map[string][]string{}}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, isFlag := strings.CutPrefix(arg, "--")
		if !isFlag {
			return c, c.target(arg, args)
		}
		name, value, has := strings.Cut(name, "=")
		if slices.Contains(switches, name) {
			if has && value != "true" {
				return nil, fmt.Errorf("--%s takes no value but true", name)
			}
			c.flags[name] = []string{"true"}
			continue
		}
		valid, known := flags[name]
		if !known {
			return nil, fmt.Errorf("unknown flag --%s", name)
		}
		if !has {
			if len(args) == 0 {
				return nil, fmt.Errorf("--%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		if err := valid(value); err != nil {
			return nil, fmt.Errorf("--%s %w", name, err)
		}
		if len(c.flags[name]) > 0 && name != "scan-target-info" {
			return nil, fmt.Errorf("--%s is given twice", name)
		}
		c.flags[name] = append(c.flags[name], value)
	}
	return nil, errors.New("no command")
}

func (c *call) target(command string, rest []string) error {
	what, known := commands[command]
	switch {
	case !known:
		return fmt.Errorf("unknown command %q", command)
	case len(rest) != 1 || rest[0] == "" || strings.HasPrefix(rest[0], "-"):
		return fmt.Errorf("%s needs one %s, and has %q", command, what, rest)
	case command != "rootfs" && command != "repo":
		return fmt.Errorf("the double cannot scan with %s", command)
	}
	c.command, c.operand = command, rest[0]
	return nil
}

func (c *call) value(flag string) string {
	if len(c.flags[flag]) == 0 {
		return ""
	}
	return c.flags[flag][0]
}

// wants tells whether a list flag holds the item.
func (c *call) wants(flag, item string) bool {
	return slices.Contains(strings.Split(c.value(flag), ","), item)
}

// variables that a caller may set.
var variables = []string{"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GOMEMLIMIT", "GOMAXPROCS", "SSL_CERT_FILE", tokenVariable}

const tokenVariable = "QUALYS_ACCESS_TOKEN"

// check refuses a call that would work and should not have been made so.
func (c *call) check(environment []string) error {
	env := map[string]string{}
	for _, e := range environment {
		name, value, _ := strings.Cut(e, "=")
		if !slices.Contains(variables, name) {
			return fmt.Errorf("the variable %s was inherited", name)
		}
		env[name] = value
	}
	return errors.Join(c.checkPlatform(env[tokenVariable]), c.checkDirectories(env))
}

func (c *call) checkPlatform(token string) error {
	if named := c.value("shell-commands") != ""; named == (c.command == "repo") {
		return fmt.Errorf("%s with --shell-commands %q: a root file system has an operating system, source code has none", c.command, c.value("shell-commands"))
	}
	for _, arg := range os.Args {
		if token != "" && strings.Contains(arg, token) {
			return errors.New("the token is on the command line, where everybody can read it")
		}
	}
	online := c.value("mode") != "inventory-only"
	switch {
	case online && token == "":
		return fmt.Errorf("%s is not set", tokenVariable)
	case !online && token != "":
		return errors.New("a token is handed over that inventory-only does not need")
	case online && (c.value("pod") == "") == (c.value("gateway-url") == ""):
		return errors.New("one of --pod and --gateway-url is needed")
	}
	return nil
}

// checkDirectories: all that the double writes lies in one directory that belongs to this scan alone, and what is excluded
// lies in the image.
func (c *call) checkDirectories(env map[string]string) error {
	own := filepath.Dir(env["TMPDIR"])
	for what, dir := range map[string]string{
		"TMPDIR": env["TMPDIR"], "HOME": env["HOME"], "XDG_CACHE_HOME": env["XDG_CACHE_HOME"],
		"--output-dir": c.value("output-dir"), "--cache-dir": c.value("cache-dir"),
	} {
		info, err := os.Stat(dir)
		switch {
		case !filepath.IsAbs(dir) || filepath.Dir(dir) != own:
			return fmt.Errorf("%s is %q and not in %s", what, dir, own)
		case err != nil || !info.IsDir():
			return fmt.Errorf("%s is no directory: %v", what, err)
		case info.Mode().Perm()&0o077 != 0:
			return fmt.Errorf("%s can be read by others (%s)", what, info.Mode())
		}
	}
	for _, dir := range strings.Split(c.value("exclude-dirs"), ",") {
		if dir != "" && !strings.HasPrefix(dir, c.operand+"/") {
			return fmt.Errorf("--exclude-dirs %s excludes nothing: it is not below %s", dir, c.operand)
		}
	}
	if names, err := os.ReadDir(c.value("output-dir")); err != nil || len(names) > 0 {
		return fmt.Errorf("--output-dir holds another run's files (%d, %v)", len(names), err)
	}
	return nil
}
