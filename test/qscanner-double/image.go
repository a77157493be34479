package main

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// image is what the double reads of a root file system.
type image struct {
	id, version string // of os-release
	packages    []pkg
}

type pkg struct{ name, version, purl string }

// read reads os-release and the package databases of dpkg and apk, or the requirements of a repository.
func read(c *call) (*image, error) {
	var img image
	if c.command == "repo" {
		for _, line := range c.lines("requirements.txt") {
			if name, version, ok := strings.Cut(line, "=="); ok {
				img.packages = append(img.packages, pkg{name, version, "pkg:pypi/" + name + "@" + version})
			}
		}
		return &img, nil
	}
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		for _, line := range c.lines(name) {
			if v, ok := strings.CutPrefix(line, "ID="); ok {
				img.id = strings.Trim(v, `"'`)
			}
			if v, ok := strings.CutPrefix(line, "VERSION_ID="); ok {
				img.version = strings.Trim(v, `"'`)
			}
		}
		if img.id != "" {
			break
		}
	}
	if img.id == "" {
		return nil, errors.New("no os-release: OS not found")
	}
	img.add("deb/"+img.id, "Package: ", "Version: ", c.lines("var/lib/dpkg/status"))
	img.add("apk/"+img.id, "P:", "V:", c.lines("lib/apk/db/installed"))
	return &img, nil
}

func (img *image) add(purlType, namePrefix, versionPrefix string, lines []string) {
	name := ""
	for _, line := range lines {
		if v, ok := strings.CutPrefix(line, namePrefix); ok {
			name = v
		}
		if v, ok := strings.CutPrefix(line, versionPrefix); ok && name != "" {
			escaped := strings.NewReplacer("+", "%2B", ":", "%3A", "~", "~").Replace(v)
			img.packages = append(img.packages, pkg{name, v, "pkg:" + purlType + "/" + name + "@" + escaped})
			name = ""
		}
	}
}

// lines of a regular file of the image that is not excluded. Links are not followed: they would lead to the host's files.
func (c *call) lines(name string) []string {
	for _, dir := range strings.Split(c.value("exclude-dirs"), ",") {
		if rel, err := filepath.Rel(c.operand, dir); err == nil && dir != "" && strings.HasPrefix(name, rel+"/") {
			return nil
		}
	}
	path := filepath.Join(c.operand, name)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}
