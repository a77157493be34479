// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/strictjson"
)

const (
	// MaxListed is the most findings that a report.json lists. The largest images seen have some
	// 4,000.
	MaxListed = 10_000
	// MaxFile bounds a report.json in bytes: MaxListed findings at their bounds, every byte of
	// which that an image's author can choose takes two in JSON.
	MaxFile = 32 << 20
	// maxRest bounds what a report.json holds beside its findings, of which Bound keeps MaxBytes.
	maxRest = 256 << 10
)

// Read reads a report.json that may have been written by an attacker. Findings are taken one by
// one, so that memory is bounded by MaxListed of them and not by how many a file of MaxFile bytes
// can hold; those beyond are counted in Truncated.
func Read(in io.Reader) (*v1alpha1.ScanReport, error) {
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(in, MaxFile)); err != nil {
		return nil, err
	}
	return Parse(text.Bytes())
}

// Parse is Read of a text, which nothing may change any more.
func Parse(text []byte) (*v1alpha1.ScanReport, error) {
	r := reader{json: strictjson.New(text)}
	out := &v1alpha1.ScanReport{}
	var top, body bytes.Buffer
	err := r.object(&top, "report", func() error { return r.object(&body, "findings", r.list) })
	if err == nil {
		err = errors.Join(unmarshal(&top, out), unmarshal(&body, &out.Report))
	}
	if err != nil {
		return nil, err
	}
	out.Report.Findings = r.findings
	out.Report.Truncated = max(out.Report.Truncated, 0) + r.more
	return out, nil
}

type reader struct {
	json     *strictjson.Reader
	rest     int
	findings []v1alpha1.Finding
	more     int32
	lastTime string
	lastAt   metav1.Time
}

// object reads an object: the value of one key by a function, all others into a buffer.
func (r *reader) object(others *bytes.Buffer, key string, value func() error) error {
	return r.json.Object(func(name string) error {
		if name == key {
			return value()
		}
		return r.copy(others, name)
	})
}

func (r *reader) copy(to *bytes.Buffer, name string) error {
	value, err := r.json.Skip()
	if err != nil {
		return err
	}
	key, err := json.Marshal(name)
	if err != nil {
		return err
	}
	if r.rest += len(key) + len(value); r.rest > maxRest {
		return fmt.Errorf("it holds more than %d bytes beside its findings", maxRest)
	}
	for _, part := range []string{",", string(key), ":", value} {
		to.WriteString(part)
	}
	return nil
}

// list reads the findings.
func (r *reader) list() error {
	_, err := r.json.List(func() error {
		var f v1alpha1.Finding
		if err := r.finding(&f); err != nil {
			return err
		}
		if len(r.findings) == MaxListed {
			add(&r.more)
			return nil
		}
		r.findings = append(r.findings, f)
		return nil
	})
	return err
}

// finding reads a finding. It is written out because findings are nearly all of a report.
func (r *reader) finding(f *v1alpha1.Finding) error {
	return r.json.Object(func(name string) (err error) {
		switch name {
		case "key":
			f.Key, err = r.json.String()
		case "ids":
			err = r.ids(&f.IDs)
		case "package":
			f.Package, err = r.json.String()
		case "version":
			f.Version, err = r.json.String()
		case "purl":
			f.PURL, err = r.json.String()
		case "path":
			f.Path, err = r.json.String()
		case "severity":
			f.Severity, err = r.json.String()
		case "score":
			f.Score, err = r.json.String()
		case "fixedVersion":
			f.FixedVersion, err = r.json.String()
		case "detectedBy":
			f.DetectedBy, err = r.json.String()
		case "firstSeen":
			err = r.time(&f.FirstSeen)
		default:
			_, err = r.json.Skip()
		}
		return err
	})
}

func (r *reader) ids(ids *v1alpha1.FindingIDs) error {
	return r.json.Object(func(name string) (err error) {
		switch name {
		case "cve":
			ids.CVE, err = r.json.String()
		case "qid":
			ids.QID, err = r.json.String()
		case "ghsa":
			ids.GHSA, err = r.json.String()
		default:
			_, err = r.json.Skip()
		}
		return err
	})
}

// time reads a time as metav1.Time does. Most findings of a report were first seen together.
func (r *reader) time(at *metav1.Time) error {
	text, err := r.json.Skip()
	switch {
	case err != nil:
		return err
	case text != r.lastTime || text == "":
		r.lastTime, r.lastAt = text, metav1.Time{}
		if err := json.Unmarshal([]byte(text), &r.lastAt); err != nil {
			return err
		}
	}
	*at = r.lastAt
	return nil
}

// unmarshal decodes the members of an object, each of which follows a comma.
func unmarshal(members *bytes.Buffer, into any) error {
	text := append(bytes.TrimPrefix(members.Bytes(), []byte{','}), '}')
	return json.Unmarshal(append([]byte{'{'}, text...), into)
}
