// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/sifscan/sifscan-operator/api/v1alpha1"
	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/handover"
)

// diskBlock is what file systems give out space in. The kubelet evicts by that, and not by the lengths of files.
const diskBlock = 4096

func onDisk(bytes int64) int64 { return (bytes + diskBlock - 1) / diskBlock * diskBlock }

// folder is a result as files by name.
type folder map[string][]byte

// folder renders the result, the report as it is given.
func (r *Result) folder(text []byte) folder {
	files := folder{handover.ReportFile: text}
	for document, content := range r.Documents {
		files[filepath.Base(document)] = content
	}
	return files
}

// size is what the folder takes on disk.
func (f folder) size() int64 {
	sum := int64(diskBlock)
	for _, content := range f {
		sum += onDisk(int64(len(content)))
	}
	return sum
}

// maxDocuments is what the documents of one image may take of a results directory with this limit: they wait there beside those
// of images before.
func maxDocuments(resultsLimit int64) int64 { return resultsLimit / 2 }

// bounded refuses documents that scanner and reporter cannot hand over. The results of an engine are of any size.
func (s *Scanner) bounded(r *Result) error {
	if s.ResultsLimit == 0 {
		return nil
	}
	size := folder(r.Documents).size()
	if size <= maxDocuments(s.ResultsLimit) {
		return nil
	}
	r.Documents = nil
	return &engine.Error{Reason: v1alpha1.ReasonEngineFailed, Message: fmt.Sprintf(
		"the documents about the image take %d MiB, more than the %d MiB that scanner and reporter can hand over at once: ask for fewer spec.scanner.formats and reportFormats",
		size>>20, maxDocuments(s.ResultsLimit)>>20)}
}

// makeRoom waits until a result of so many bytes fits into the results directory: kubelet evicts a pod that writes more than the
// volume's limit, whosever the bytes are. An eighth stays free for what is written meanwhile.
func (h *HandoverSink) makeRoom(ctx context.Context, size int64) error {
	for h.Limit > 0 && len(h.pending) > 0 {
		taken, err := h.Hand.Taken()
		if err != nil {
			return err
		}
		for _, name := range h.pending {
			taken += h.sizes[name]
		}
		if taken+size <= h.Limit-h.Limit/8 {
			return nil
		}
		if err := h.wait(ctx, len(h.pending)-1); err != nil {
			return err
		}
	}
	return nil
}
