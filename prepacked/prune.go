package prepacked

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// abandoned is the age from which a file that is being written has no writer any more.
const abandoned = 24 * time.Hour

// fileName is a Packing as a part of a file's name.
func fileName(packing string) string { return strings.ReplaceAll(packing, "/", "_") }

// Prune removes what was not used for longest until at most bytes are left, and what
// a killed process left half-written. It returns the bytes that are left. Restoring
// a layer is a use of it; processes that read a file go on reading it. Files beside
// those of the cache are not touched.
func (c *Cache) Prune(ctx context.Context, bytes int64) (left int64, err error) {
	type kept struct {
		path string
		size int64
		used time.Time
	}
	var all []kept
	walk := func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // another process prunes, too
			return nil
		}
		if err != nil || d.IsDir() {
			return errors.Join(err, ctx.Err())
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasSuffix(path, temporary) {
			if c.now().Sub(info.ModTime()) < abandoned {
				left += info.Size()
				return nil
			}
			return remove(path)
		}
		all = append(all, kept{path, info.Size(), info.ModTime()})
		left += info.Size()
		return nil
	}
	for i := 0; err == nil && i < len(kinds); i++ {
		err = filepath.WalkDir(filepath.Join(c.dir, kinds[i]), walk)
	}
	slices.SortStableFunc(all, func(a, b kept) int { return a.used.Compare(b.used) })
	for i := 0; err == nil && i < len(all) && left > bytes; i++ {
		if err = errors.Join(ctx.Err(), remove(all[i].path)); err == nil {
			left -= all[i].size
		}
	}
	return left, err
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
