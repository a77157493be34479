// Command trivy-double stands in for trivy in tests of how it is called: a real one takes a quarter of an hour to build and a
// database that no test can download. It accepts the one command line that keeps trivy offline, refuses every other as
// trivy refuses an unknown flag, and is as unforgiving as trivy 0.74 about databases: none is fatal, and so is a JAR file without the Java database
// when vulnerabilities or an SBOM are asked for. Its vulnerabilities are invented; its files say that a double wrote them.
package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sifscan/sifscan-operator/test/hostile"
)

func main() {
	call, err := parse(os.Args[1:])
	if err == nil {
		err = errors.Join(checkEnvironment(os.Environ()), checkWorkingDirectory())
	}
	if err == nil {
		err = call.run()
	}
	if err != nil { // whatever it is, trivy says it so
		fmt.Fprintf(os.Stderr, "%s\tFATAL\tFatal error\ttrivy-double: %v\n", time.Now().Format(time.RFC3339), err)
		os.Exit(1)
	}
}

// call is a command line that was understood.
type call struct {
	source                      bool // fs: lock files, and nothing that is installed
	cache, output, format, root string
	scanners                    []string
	skipDirs                    []string
}

// needed switches keep trivy from the network.
var needed = []string{"--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check", "--disable-telemetry"}

func parse(args []string) (*call, error) {
	if len(args) < 3 || args[0] != "-q" || args[1] != "rootfs" && args[1] != "fs" {
		return nil, fmt.Errorf("only -q rootfs and -q fs are known, and not %q", args)
	}
	c := &call{source: args[1] == "fs", root: args[len(args)-1]}
	seen := map[string]bool{}
	list := false
	for rest := args[2 : len(args)-1]; len(rest) > 0; rest = rest[1:] {
		name := rest[0]
		switch {
		case seen[name] && name != "--skip-dirs":
			return nil, fmt.Errorf("%s is given twice", name)
		case slices.Contains(needed, name):
			seen[name] = true
			continue
		case name == "--list-all-pkgs":
			list = true
			continue
		case len(rest) == 1:
			return nil, fmt.Errorf("%s is unknown or needs a value", name)
		}
		seen[name] = true
		rest = rest[1:]
		if err := c.set(name, rest[0]); err != nil {
			return nil, err
		}
	}
	for _, name := range append(needed, "--cache-dir", "--format", "-o", "--timeout") {
		if !seen[name] {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	if (c.format == "json") != list || (c.format == "json") != (len(c.scanners) > 0) {
		return nil, errors.New("--format json, --list-all-pkgs and --scanners belong together")
	}
	return c, c.checkRoot()
}

func (c *call) set(name, value string) error {
	switch name {
	case "--cache-dir":
		c.cache = value
	case "-o":
		c.output = value
	case "--skip-dirs":
		list, err := csv.NewReader(strings.NewReader(value)).Read()
		if err != nil {
			return fmt.Errorf("--skip-dirs %s: %w", value, err)
		}
		c.skipDirs = append(c.skipDirs, list...)
	case "--timeout":
		_, err := time.ParseDuration(value)
		return err
	case "--format":
		c.format = value
		if value != "json" && value != "cyclonedx" {
			return fmt.Errorf("--format %s", value)
		}
	case "--scanners":
		c.scanners = strings.Split(value, ",")
		for _, s := range c.scanners {
			if s != "vuln" && s != "secret" {
				return fmt.Errorf("--scanners %q", value)
			}
		}
	default:
		return fmt.Errorf("unknown flag %s", name)
	}
	return nil
}

func (c *call) checkRoot() error {
	if info, err := os.Lstat(c.root); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no real directory: trivy would walk nothing (%v)", c.root, err)
	}
	for _, dir := range c.skipDirs {
		if !strings.HasPrefix(dir, c.root+"/") {
			return fmt.Errorf("--skip-dirs %s excludes nothing of %s", dir, c.root)
		}
	}
	return nil
}

func checkEnvironment(environment []string) error {
	allowed := []string{"HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GOMEMLIMIT", "GOMAXPROCS"}
	for _, e := range environment {
		if name, _, _ := strings.Cut(e, "="); !slices.Contains(allowed, name) {
			return fmt.Errorf("the variable %s was inherited", name)
		}
	}
	return nil
}

// checkWorkingDirectory refuses files that trivy obeys where it runs: an image could tell it what not to find.
func checkWorkingDirectory() error {
	for _, name := range []string{".trivyignore", ".trivyignore.yaml", "trivy.yaml", "trivy-secret.yaml"} {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("it runs where a %s lies", name)
		}
	}
	return nil
}

func (c *call) run() error {
	b, err := readBehaviour(c.root)
	if err == nil {
		err = b.before()
	}
	if err != nil {
		return err
	}
	vulnerabilities := slices.Contains(c.scanners, "vuln")
	if vulnerabilities {
		if _, err := os.Stat(filepath.Join(c.cache, "db", "trivy.db")); err != nil {
			return fmt.Errorf("init error: DB error: --skip-db-update cannot be specified on the first run: %w", err)
		}
	}
	packages, jar, err := c.walk()
	if err != nil {
		return err
	}
	packages = append(packages, b.more()...)
	if jar && (vulnerabilities || c.format == "cyclonedx") {
		if _, err := os.Stat(filepath.Join(c.cache, "java-db", "trivy-java.db")); err != nil {
			return fmt.Errorf("unable to initialize the Java DB: --skip-java-db-update cannot be specified on the first run: %w", err)
		}
	}
	// Trivy keeps a cache of its own beside the databases.
	if err := os.WriteFile(filepath.Join(c.cache, "double"), nil, 0o600); err != nil {
		return err
	}
	var document any = cycloneDX(packages)
	if c.format == "json" {
		document = c.report(packages)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return hostile.Write(c.output, text, b.output)
}
