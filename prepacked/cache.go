package prepacked

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bitlane/bitlane/quant"
)

// Cache is a directory of packed weights. It is safe for use by several
// goroutines, and the directory by several processes.
type Cache struct {
	dir string
	now func() time.Time
}

// tag marks the directory for programs that back up: it can be made again.
const (
	tagName = "CACHEDIR.TAG"
	tagText = "Signature: 8a477f597d28d172789f06886806bc55\n# Packed weights of bitlane. It may be deleted at any time.\n"
)

// kinds are the directories in it: all that is kept is in these.
var kinds = []string{"tensors", "layers"}

// systems are what an operating system puts into an empty directory.
var systems = []string{"lost+found", ".DS_Store", ".snapshot"}

const temporary = ".tmp" // the end of names of files that are being written

// Open returns the cache in dir, which is made where it does not exist. A directory with other
// things in it is quant.ErrFormat. It holds nothing open and needs no Close.
func Open(dir string) (*Cache, error) {
	if dir == "" {
		return nil, quant.Errorf(quant.ErrFormat, "prepacked", "directory", "a name", "empty")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := ours(dir); err != nil {
		return nil, err
	}
	for _, sub := range kinds {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o777); err != nil {
			return nil, err
		}
	}
	c := &Cache{dir: dir, now: time.Now}
	if _, err := os.Stat(filepath.Join(dir, tagName)); errors.Is(err, fs.ErrNotExist) {
		err := c.write(filepath.Join(dir, tagName), func(f *os.File) error {
			_, err := f.WriteString(tagText)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// ours reports a directory with something in it that no cache makes: it is not taken for one.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if tag, err := os.ReadFile(filepath.Join(dir, tagName)); err == nil && string(tag) == tagText {
		return nil // somebody put something into it since
	}
	for _, e := range entries {
		name := e.Name()
		if !slices.Contains(kinds, name) && !strings.HasPrefix(name, tagName) && !slices.Contains(systems, name) {
			return quant.Errorf(quant.ErrFormat, dir, "directory", "an empty or a new one, or a cache", "one with %.100q in it", name)
		}
	}
	return nil
}

// Dir returns the directory.
func (c *Cache) Dir() string { return c.dir }

// path of what is kept under a name of at least two characters.
func (c *Cache) path(kind, name string) string { return filepath.Join(c.dir, kind, name[:2], name[2:]) }

// use says that files were used, for Prune. It matters to nothing else.
func (c *Cache) use(paths ...string) {
	now := c.now()
	for _, path := range paths {
		_ = os.Chtimes(path, now, now)
	}
}

// write makes the file at path whole or not at all.
func (c *Cache) write(path string, fill func(*os.File) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	temp := fmt.Sprintf("%s.%016x%s", path, rand.Uint64(), temporary)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Close())
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}
