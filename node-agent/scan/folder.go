// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/printable"
	"github.com/sifscan/sifscan-operator/node-agent/report"
)

// tmpPrefix begins the name of a folder that is not complete. No complete folder's name begins with a dot.
const tmpPrefix = ".tmp-"

// FolderName is the name of a target's result folder: its base name, cleaned to what every
// shell and file system takes, and 8 hexadecimal digits of its path's hash.
func FolderName(target string) string {
	sum := sha256.Sum256([]byte(target))
	return printable.FileName(path.Base(target)) + "-" + hex.EncodeToString(sum[:4])
}

// write writes a result into dir as a folder that appears complete, taking the place of
// an older one.
func (f folder) write(dir, name string) error {
	tmp, err := os.MkdirTemp(dir, tmpPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for name, content := range f {
		if err := os.WriteFile(filepath.Join(tmp, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return replace(tmp, filepath.Join(dir, name))
}

// replace renames tmp to final. Where final exists the two are exchanged, so that there is no
// moment without a result; tmp is then the old one.
func replace(tmp, final string) error {
	err := os.Rename(tmp, final)
	if !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, final, unix.RENAME_EXCHANGE)
	if err == nil {
		return nil
	}
	// NFS cannot exchange.
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(tmp, final)
}

// removeLeftovers removes what a run that was killed left in dir.
func removeLeftovers(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, tmpPrefix+"*"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("remove what an earlier run left: %w", err)
		}
	}
	return nil
}

// scanReport is the result as the object that the API would hold.
func (r *Result) scanReport() *v1alpha1.ScanReport {
	body := r.Report.DeepCopy()
	report.Bound(body)
	annotations := report.Annotations(body)
	if r.Counted != nil {
		annotations[v1alpha1.AnnotationFixable] = r.Counted.FixableAnnotation()
	}
	if r.Policy != "" {
		annotations[v1alpha1.AnnotationPolicy] = r.Policy
	}
	return &v1alpha1.ScanReport{
		ObjectMeta: metav1.ObjectMeta{
			Name: report.Subject{
				Path:      printable.Escape(r.Report.Target.Path),
				Live:      r.Live,
				Engine:    r.Report.Scanner.Engine,
				ScanTypes: r.Types,
			}.Name(),
			Annotations: annotations,
		},
		Report: *body,
	}
}
