package rpmdb_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb"
	"github.com/sifscan/sifscan-operator/node-agent/engine/native/rpmdb/rpmdbtest"
)

var bash = rpmdbtest.Package{
	Name: "bash", Version: "5.1.8", Release: "9.el9", Arch: "x86_64", SourceRPM: "bash-5.1.8-9.el9.src.rpm", License: "GPLv3+",
	Files: []string{"/usr/bin/bash", "/usr/bin/sh", "/etc/skel/.bashrc"}, Padding: 500,
}

var bind = rpmdbtest.Package{
	Name: "bind-libs", Version: "9.16.23", Release: "14.el9", Epoch: 32, Arch: "x86_64", SourceRPM: "bind-9.16.23-14.el9.src.rpm",
	License: "MPLv2.0", Padding: 3 * rpmdbtest.PageSize,
}

func formats(packages ...rpmdbtest.Package) map[string][]byte {
	return map[string][]byte{
		"Berkeley DB, little-endian": rpmdbtest.BDB(binary.LittleEndian, packages...),
		"Berkeley DB, big-endian":    rpmdbtest.BDB(binary.BigEndian, packages...),
		"ndb":                        rpmdbtest.NDB(packages...),
		"SQLite":                     rpmdbtest.SQLite(packages...),
	}
}

func read(db []byte) (packages []rpmdb.Package, files []string, err error) {
	err = rpmdb.Read(context.Background(), bytes.NewReader(db), int64(len(db)), func(h rpmdb.Header) error {
		p, err := h.Package()
		if err != nil {
			return err
		}
		packages = append(packages, p)
		for file := range h.Files {
			files = append(files, file)
		}
		return nil
	})
	return packages, files, err
}

func TestEveryFormatGivesTheSamePackages(t *testing.T) {
	want := []rpmdb.Package{
		{Name: "bash", Version: "5.1.8", Release: "9.el9", Arch: "x86_64", SourceRPM: "bash-5.1.8-9.el9.src.rpm", License: "GPLv3+"},
		{Name: "bind-libs", Version: "9.16.23", Release: "14.el9", Epoch: 32, Arch: "x86_64", SourceRPM: "bind-9.16.23-14.el9.src.rpm", License: "MPLv2.0"},
	}
	for format, db := range formats(bash, bind) {
		t.Run(format, func(t *testing.T) {
			packages, files, err := read(db)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, packages); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(bash.Files, files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADatabaseCutAnywhereIsDamagedAndNeverMore(t *testing.T) {
	for format, db := range formats(bash, bind) {
		t.Run(format, func(t *testing.T) {
			for n := 0; n < len(db)-rpmdbtest.PageSize; n += 97 {
				packages, _, err := read(db[:n])
				if err == nil && len(packages) == 2 {
					t.Fatalf("%d of %d bytes gave both packages", n, len(db))
				}
				if err != nil && !errors.Is(err, rpmdb.ErrFormat) {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
		})
	}
}

func TestAChainOfPagesThatBitesItsTailEnds(t *testing.T) {
	db := rpmdbtest.BDB(binary.LittleEndian, bind)
	const firstOverflow = 2
	next := db[firstOverflow*rpmdbtest.PageSize+16:]
	binary.LittleEndian.PutUint32(next, firstOverflow)
	if _, _, err := read(db); !errors.Is(err, rpmdb.ErrFormat) {
		t.Errorf("Berkeley DB: %v", err)
	}

	db = rpmdbtest.SQLite(bind)
	for i := 3; (i+1)*rpmdbtest.PageSize <= len(db); i++ {
		binary.BigEndian.PutUint32(db[i*rpmdbtest.PageSize:], 4)
	}
	if _, _, err := read(db); !errors.Is(err, rpmdb.ErrFormat) {
		t.Errorf("SQLite: %v", err)
	}
}

func TestAHeaderThatClaimsMoreThanTheFileHoldsIsRefused(t *testing.T) {
	db := rpmdbtest.NDB(bash)
	binary.LittleEndian.PutUint32(db[rpmdbtest.PageSize+12:], 0xffffffff)
	if _, _, err := read(db); !errors.Is(err, rpmdb.ErrFormat) {
		t.Errorf("blob: %v", err)
	}
	db = rpmdbtest.NDB(bash)
	binary.BigEndian.PutUint32(db[rpmdbtest.PageSize+16:], 0x7fffffff)
	if _, _, err := read(db); !errors.Is(err, rpmdb.ErrFormat) {
		t.Errorf("number of entries: %v", err)
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	db := rpmdbtest.NDB(bash)
	err := rpmdb.Read(ctx, bytes.NewReader(db), int64(len(db)), func(rpmdb.Header) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, db := range formats(bash, bind) {
		f.Add(db)
	}
	f.Fuzz(func(t *testing.T, db []byte) {
		packages, _, err := read(slices.Clone(db))
		if err == nil && len(packages) > len(db) {
			t.Error("more packages than bytes")
		}
	})
}
