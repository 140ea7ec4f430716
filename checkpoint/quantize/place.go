package quantize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// place is where the new directory goes: it is made as temp, beside out, and gets
// its name when it is whole.
type place struct {
	disk      disk
	out, temp string
	replace   bool // something is there that makes room
}

// findPlace checks that out can be written, and that nothing is lost by it.
func findPlace(ctx context.Context, in, out string, o *Options) (*place, error) {
	in, err := filepath.Abs(in)
	if err != nil {
		return nil, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(out))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: the directory %s, in which it is to be made, does not exist: %w", out, filepath.Dir(out), fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("the directory for %s: %w", out, err)
	}
	p := &place{disk: o.disk, out: filepath.Join(parent, filepath.Base(out))}
	p.temp = filepath.Join(parent, fmt.Sprintf(".%s.%016x.tmp", filepath.Base(out), rand.Uint64()))
	source, err := os.Stat(in)
	if err != nil {
		return nil, err
	}
	if isOrHolds(source, parent) {
		return nil, quant.Errorf(quant.ErrUnsupported, out, "", "a directory outside of the input", "inside %s", in)
	}
	info, err := os.Stat(p.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(p.out); err == nil {
			return nil, quant.Errorf(quant.ErrUnsupported, out, "", "a name that is free", "a link to nowhere")
		}
		return p, nil
	case err != nil:
		return nil, err
	case os.SameFile(info, source):
		return nil, quant.Errorf(quant.ErrUnsupported, out, "", "another directory", "the input itself")
	case !info.IsDir():
		return nil, quant.Errorf(quant.ErrUnsupported, out, "", "a name that is free", "a file")
	}
	// A rename would put the new directory in the place of the link, perhaps on
	// another disk than the one that the link is for.
	if link, err := os.Lstat(p.out); err != nil || link.Mode()&fs.ModeSymlink != 0 {
		return nil, errors.Join(err, quant.Errorf(quant.ErrUnsupported, out, "", "a directory, or a name that is free", "a link to a directory"))
	}
	if above, err := os.Stat(parent); err != nil || !sameDisk(info, above) {
		return nil, errors.Join(err, quant.Errorf(quant.ErrUnsupported, out, "", "a directory in one, since what is made beside it takes its place at the end", "where a file system is mounted"))
	}
	entries, err := os.ReadDir(p.out)
	if err != nil {
		return nil, err
	}
	p.replace = true
	if len(entries) == 0 {
		return p, nil
	}
	if !o.Replace {
		return nil, quant.Errorf(quant.ErrUnsupported, out, "", "a name that is free, an empty directory, or the leave to replace a quantized model (Options.Replace, --force)", "a directory that is not empty")
	}
	if real, err := filepath.EvalSymlinks(in); err != nil || isOrHolds(info, filepath.Dir(real)) {
		return nil, errors.Join(err, quant.Errorf(quant.ErrUnsupported, out, "", "a directory that does not hold the input", "one above %s", in))
	}
	if err := isQuantizedModel(ctx, p.out); err != nil {
		return nil, err
	}
	return p, onlyTheModels(in, p.out)
}

// onlyTheModels guards the files in dir that Model did not write: those that are no part
// of a model, and of which the input has none of the same name that is copied.
func onlyTheModels(in, dir string) error {
	var others []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		top := filepath.Dir(name) == "."
		written := top && (slices.Contains([]string{configName, quantizeName}, name) || strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".safetensors.index.json"))
		if _, err := os.Stat(filepath.Join(in, name)); written || err == nil && !strings.HasPrefix(e.Name(), ".") {
			return nil
		}
		others = append(others, filepath.ToSlash(name))
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err == nil && len(others) > 0 {
		err = quant.Errorf(quant.ErrUnsupported, dir, "", "nothing in it but a quantized model and what the input has, since all of it is removed",
			"a directory with %s of its own, the first is %.100s", module.Count(len(others), "file"), others[0])
	}
	return err
}

// isQuantizedModel guards what is not Model's to remove.
func isQuantizedModel(ctx context.Context, dir string) error {
	set, err := safetensors.OpenDir(dir)
	if err == nil {
		set.Close()
		_, err = os.Stat(filepath.Join(dir, "config.json"))
	}
	if err != nil {
		return quant.Errorf(quant.ErrUnsupported, dir, "", "a model directory to replace, nothing else is removed", "another directory: %v", err)
	}
	m, err := checkpoint.Open(ctx, dir, checkpoint.Options{})
	const want = "a quantized model to replace, nothing else is removed"
	switch {
	case errors.Is(err, quant.ErrUnsupported): // quantized in a way that is known and not read
		return nil
	case err != nil:
		return quant.Errorf(quant.ErrUnsupported, dir, "", want, "one that cannot be told: %v", err)
	}
	defer m.Close()
	if m.Format() == "dense" {
		return quant.Errorf(quant.ErrUnsupported, dir, "", want, "a plain one")
	}
	return nil
}

// isOrHolds reports whether dir, a path without links, is top or below it.
func isOrHolds(top fs.FileInfo, dir string) bool {
	for {
		if info, err := os.Stat(dir); err == nil && os.SameFile(top, info) {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}

// make makes the directory by write, and gives it its name. After an error nothing
// of it is left, and what was at out is still there.
func (p *place) make(write func(dir string) error) (err error) {
	if err := p.disk.Mkdir(p.temp); err != nil {
		return err
	}
	lock := hold(p.temp)
	defer func() {
		if err == nil {
			return
		}
		if left := p.remove(p.temp, lock); left != nil {
			err = errors.Join(err, fmt.Errorf("%s is left behind: %w", p.temp, left))
		}
	}()
	if err := write(p.temp); err != nil {
		return fmt.Errorf("%s is not written: %w", p.out, err)
	}
	if err := p.release(p.temp, lock); err != nil {
		return err
	}
	p.disk.SyncDir(p.temp)
	if err := p.rename(); err != nil {
		return err
	}
	p.disk.SyncDir(filepath.Dir(p.out))
	return nil
}

func (p *place) rename() error {
	if !p.replace {
		return p.asMade(p.disk.Rename(p.temp, p.out))
	}
	old := p.temp + ".old"
	if err := p.disk.Rename(p.out, old); err != nil {
		return err
	}
	if err := p.asMade(p.disk.Rename(p.temp, p.out)); err != nil {
		if back := p.disk.Rename(old, p.out); back != nil {
			err = errors.Join(err, fmt.Errorf("what was at %s is now %s: %w", p.out, old, back))
		}
		return err
	}
	if err := p.disk.RemoveAll(old); err != nil {
		return fmt.Errorf("%s is written; what it replaces is left at %s: %w", p.out, old, err)
	}
	return nil
}

// asMade says of the error of the last rename, where it is so, that out was free when the
// work began.
func (p *place) asMade(err error) error {
	if errors.Is(err, fs.ErrExist) { // or is not empty
		return fmt.Errorf("another process made %s meanwhile: %w", p.out, err)
	}
	return err
}
