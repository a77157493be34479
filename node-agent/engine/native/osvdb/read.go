package osvdb

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxRecord bounds one record; the largest in OSV, an npm package with every version ever published, has 5 MiB.
const maxRecord = 64 << 20

// eachRecord calls yield with every record below path: a zip file, a .json file, or a directory of them.
func eachRecord(ctx context.Context, path string, yield func([]byte) error) error {
	return filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return nil
		case strings.HasSuffix(name, ".zip"):
			return eachZipped(ctx, name, yield)
		case strings.HasSuffix(name, ".json"):
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			return one(f, name, yield)
		}
		return nil
	})
}

func eachZipped(ctx context.Context, name string, yield func([]byte) error) error {
	z, err := zip.OpenReader(name)
	if err != nil {
		return fmt.Errorf("%s: %w; download it again", name, err)
	}
	defer z.Close() //nolint:errcheck // opened for reading
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", name, f.Name, err)
		}
		if err := one(r, name+": "+f.Name, yield); err != nil {
			return err
		}
	}
	return nil
}

// one reads one record and closes its source.
func one(r io.ReadCloser, name string, yield func([]byte) error) error {
	defer r.Close() //nolint:errcheck // opened for reading
	text, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err == nil && len(text) > maxRecord {
		err = fmt.Errorf("it has more than %d bytes", maxRecord)
	}
	if err == nil {
		err = yield(text)
	}
	if err != nil {
		return fmt.Errorf("%s: not a usable OSV record: %w", name, err)
	}
	return nil
}
