package trivy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sifscan/sifscan-operator/node-agent/engine"
	"github.com/sifscan/sifscan-operator/node-agent/engine/document"
)

// readDatabase tells which database a cache directory holds. Its digest is that of its metadata, which change with every
// build: the database itself has 800 MB, too much to be read before every run.
func readDatabase(cache string) (*engine.Database, error) {
	if cache == "" {
		return nil, errors.New("mode get-report needs trivy's database: name a cache directory that holds db/trivy.db (--db), or use inventory-only")
	}
	if _, err := os.Stat(filepath.Join(cache, "db", "trivy.db")); err != nil {
		return nil, fmt.Errorf("trivy's database: %w", err)
	}
	text, err := document.Read(filepath.Join(cache, "db", "metadata.json"), 1<<20)
	if err != nil {
		return nil, fmt.Errorf("trivy's database: metadata.json: %w", err)
	}
	var metadata struct {
		UpdatedAt time.Time
	}
	if err := json.Unmarshal(text, &metadata); err != nil {
		return nil, fmt.Errorf("trivy's database: metadata.json: %w", err)
	}
	if metadata.UpdatedAt.IsZero() {
		return nil, errors.New("trivy's database: metadata.json does not tell when it was made (UpdatedAt): take it as trivy downloads it")
	}
	sum := sha256.Sum256(text)
	return &engine.Database{Digest: "sha256:" + hex.EncodeToString(sum[:]), UpdatedAt: metadata.UpdatedAt}, nil
}
