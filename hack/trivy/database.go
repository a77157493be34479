package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

type object = map[string]any

// advisories by bucket, package and vulnerability (aquasecurity/trivy-db, pkg/vulnsrc/bucket and pkg/types, schema version 2).
var advisories = map[string]map[string]object{
	"debian 12": {
		"openssl": {
			"CVE-2099-0001": object{"VendorIDs": []string{"DSA-9999-1"}, "FixedVersion": "3.0.11-1~deb12u99"},
			"CVE-2099-0002": object{"Severity": 1, "Status": 5}, // Debian's word for the package: low; will not be fixed
		},
		"zlib": {"CVE-2099-0003": object{"FixedVersion": "1:1.2.13.dfsg-2"}},
	},
	"alpine 3.19": {"busybox": {"CVE-2099-0004": object{"FixedVersion": "1.36.1-r99"}}},
	"rocky 9": {"openssl-libs": {"CVE-2099-0001": object{"FixedVersion": "1:3.0.7-99.el9", "Entries": []object{
		{"FixedVersion": "1:3.0.7-99.el9", "Arches": []string{"x86_64"}, "VendorIDs": []string{"RLSA-2099:0001"}}}}}},
	"pip::GitHub Security Advisory pip": {"requests": {"CVE-2099-0005": object{
		"VendorIDs": []string{"GHSA-aaaa-bbbb-cccc"}, "PatchedVersions": []string{"2.99.0", "3.0.1"}, "VulnerableVersions": []string{"<2.99.0", ">=3.0.0, <3.0.1"}}}},
	"npm::GitHub Security Advisory npm": {"lodash": {"GHSA-dddd-eeee-ffff": object{"VulnerableVersions": []string{"<=4.17.21"}}}},
	"go::GitHub Security Advisory Go":   {"example.com/greeting": {"CVE-2099-0006": object{"PatchedVersions": []string{"1.3.0"}, "VulnerableVersions": []string{"<1.3.0"}}}},
}

// sources by bucket.
var sources = map[string]object{
	"debian 12":                         {"ID": "debian", "Name": "Debian Security Tracker", "URL": "https://example.org/debian"},
	"alpine 3.19":                       {"ID": "alpine", "Name": "Alpine Secdb", "URL": "https://example.org/alpine"},
	"rocky 9":                           {"ID": "rocky", "Name": "Rocky Linux updateinfo", "URL": "https://example.org/rocky"},
	"pip::GitHub Security Advisory pip": {"ID": "ghsa", "Name": "GitHub Security Advisory pip", "URL": "https://example.org/ghsa"},
	"npm::GitHub Security Advisory npm": {"ID": "ghsa", "Name": "GitHub Security Advisory npm", "URL": "https://example.org/ghsa"},
	"go::GitHub Security Advisory Go":   {"ID": "ghsa", "Name": "GitHub Security Advisory Go", "URL": "https://example.org/ghsa"},
}

const (
	criticalV3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	mediumV3   = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
	highV4     = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"
)

// vulnerabilities by name. CVE-2099-0006 is missing: nobody has rated it.
var vulnerabilities = map[string]object{
	"CVE-2099-0001": {"Title": "invented", "Severity": "CRITICAL", "VendorSeverity": object{"nvd": 4, "rocky": 3},
		"CVSS": object{"nvd": object{"V3Vector": criticalV3, "V3Score": 9.8}}},
	"CVE-2099-0002": {"Title": "invented", "Severity": "MEDIUM", "VendorSeverity": object{"nvd": 2}, "CVSS": object{"nvd": object{"V3Vector": mediumV3, "V3Score": 6.1}}},
	"CVE-2099-0003": {"Title": "invented", "Severity": "MEDIUM", "VendorSeverity": object{"nvd": 2}, "CVSS": object{"nvd": object{"V2Vector": "AV:N/AC:M/Au:N/C:N/I:P/A:N", "V2Score": 4.3}}},
	"CVE-2099-0004": {"Title": "invented \u001b[2J", "Severity": "HIGH", "VendorSeverity": object{"nvd": 3}},
	"CVE-2099-0005": {"Title": "invented", "Severity": "HIGH", "VendorSeverity": object{"ghsa": 3, "nvd": 2},
		"CVSS": object{"ghsa": object{"V40Vector": highV4, "V40Score": 8.7}, "nvd": object{"V3Vector": mediumV3, "V3Score": 6.1}}},
	"GHSA-dddd-eeee-ffff": {"Title": "invented", "Severity": "MEDIUM", "VendorSeverity": object{"ghsa": 2}},
}

// updated is when the database was made; it is never old enough to matter, as nothing looks for a newer one.
var updated = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// makeDatabase makes DIR/db/trivy.db and its metadata.
func makeDatabase(dir string) error {
	dir = filepath.Join(dir, "db")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	db, err := bolt.Open(filepath.Join(dir, "trivy.db"), 0o644, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(fill), db.Close()); err != nil {
		return err
	}
	metadata, err := json.Marshal(object{"Version": 2, "NextUpdate": updated.AddDate(0, 0, 1), "UpdatedAt": updated, "DownloadedAt": updated})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "metadata.json"), metadata, 0o644)
}

func fill(tx *bolt.Tx) error {
	for bucket, packages := range advisories {
		for name, list := range packages {
			for id, advisory := range list {
				if err := put(tx, advisory, id, bucket, name); err != nil {
					return err
				}
			}
		}
	}
	for bucket, source := range sources {
		if err := put(tx, source, bucket, "data-source"); err != nil {
			return err
		}
	}
	for id, vulnerability := range vulnerabilities {
		if err := put(tx, vulnerability, id, "vulnerability"); err != nil {
			return err
		}
	}
	return nil
}

// put stores a value as JSON under a key in nested buckets.
func put(tx *bolt.Tx, value any, key string, buckets ...string) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists([]byte(buckets[0]))
	for _, name := range buckets[1:] {
		if err != nil {
			return err
		}
		b, err = b.CreateBucketIfNotExists([]byte(name))
	}
	if err != nil {
		return err
	}
	return b.Put([]byte(key), text)
}
