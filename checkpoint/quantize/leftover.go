package quantize

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// lockName is a file in a directory that is being made, locked for as long as the process
// that makes it lives, with the name of the machine that it runs on: a directory with one
// that is not locked, of this machine, is Model's, and nobody's any more. Files that
// begin with a dot are never copied, so it is in nobody's way.
const lockName = ".bitlane-quantize"

// hiddenName is the lock file's while nobody is to find it: without its lock.
const hiddenName = lockName + ".new"

// hold locks the new directory dir until what it returns is closed. Where files cannot be
// locked it returns nil and leaves no lock file: nothing can be told then of what a
// killed process leaves.
func hold(dir string) *os.File {
	// It gets its name when it is locked, so that nobody finds it unlocked before.
	path, early := filepath.Join(dir, lockName), filepath.Join(dir, hiddenName)
	f, err := os.OpenFile(early, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil
	}
	_, err = f.WriteString(machine())
	if err != nil || tryLock(f) != nil || os.Rename(early, path) != nil {
		f.Close()
		os.Remove(early)
		return nil
	}
	return f
}

// release removes the lock file of dir, which becomes whole. It is closed before: NFS
// keeps a file that is removed while it is open, under another name. And it is hidden
// before that, so that nobody finds it unlocked.
func (p *place) release(dir string, lock *os.File) error {
	if lock == nil {
		return nil
	}
	hidden := filepath.Join(dir, hiddenName)
	if err := p.disk.Rename(filepath.Join(dir, lockName), hidden); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lock.Close()
	return p.disk.RemoveAll(hidden)
}

// remove removes dir, which lock is held of. The lock file is the last, so that what
// cannot be removed is known to be nobody's later, too, and it is closed before: NFS
// would keep it under another name, and dir with it.
func (p *place) remove(dir string, lock *os.File) error {
	defer lock.Close()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.Name() != lockName {
			err = cmp.Or(err, p.disk.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	lock.Close()
	return p.disk.RemoveAll(dir)
}

// clear removes what processes that were killed left where they were making out, as far
// as that is sure, and says of the rest what it is.
func (p *place) clear() (notes []string) {
	parent := filepath.Dir(p.out)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil
	}
	left := regexp.MustCompile(`^\.` + regexp.QuoteMeta(filepath.Base(p.out)) + `\.[0-9a-f]{16}\.tmp(\.old)?$`)
	for _, e := range entries {
		match := left.FindStringSubmatch(e.Name())
		path := filepath.Join(parent, e.Name())
		switch {
		case match == nil || !e.IsDir():
		case match[1] != "":
			notes = append(notes, fmt.Sprintf("%s is what was at %s before a run that was killed, or what one that still runs is replacing: it is not touched", path, p.out))
		default:
			if note := p.clearOne(path); note != "" {
				notes = append(notes, note)
			}
		}
	}
	return notes
}

func (p *place) clearOne(dir string) string {
	lock, err := takeOver(filepath.Join(dir, lockName))
	switch {
	case errors.Is(err, errGone):
		return ""
	case isLocked(err):
		return fmt.Sprintf("%s is there, too: another process is making %s", dir, p.out)
	case err != nil:
		return fmt.Sprintf("%s was left by a run that was killed, or another is making it, which cannot be told: it is not touched", dir)
	}
	if err := p.remove(dir, lock); err != nil {
		return fmt.Sprintf("%s was left by a run that was killed, and cannot be removed: %v", dir, err)
	}
	return fmt.Sprintf("%s was left by a run that was killed: it is removed", dir)
}

var (
	errGone      = errors.New("it is no longer there")
	errElsewhere = errors.New("it is of another machine")
)

// takeOver locks the lock file at path, which this machine must have made.
func takeOver(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		if _, gone := os.Lstat(filepath.Dir(path)); errors.Is(gone, fs.ErrNotExist) {
			return nil, errGone
		}
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, &fs.PathError{Op: "lock", Path: path, Err: fs.ErrInvalid}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := takeOpen(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// takeOpen is takeOver for f, which was at path when it was opened. Its process may have
// ended well since, or another may have removed it: then the lock is of nothing.
func takeOpen(f *os.File, path string) error {
	if err := tryLock(f); err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, now) {
		return errGone
	} else if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return err
	}
	if here := machine(); here == "" || string(text) != here {
		return errElsewhere
	}
	return nil
}
