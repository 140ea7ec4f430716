package quantize

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// lockName is a file in a directory that is being made, locked for as long as the process
// that makes it lives: a directory with one that is not locked is Model's, and nobody's
// any more. Files that begin with a dot are never copied, so it is in nobody's way.
const lockName = ".bitlane-quantize"

// hold locks the new directory dir until what it returns is closed. Where files cannot be
// locked it returns nil and leaves no lock file: nothing can be told then of what a
// killed process leaves.
func hold(dir string) *os.File {
	// It gets its name when it is locked, so that nobody finds it unlocked before.
	path, early := filepath.Join(dir, lockName), filepath.Join(dir, lockName+".new")
	f, err := os.OpenFile(early, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil
	}
	if tryLock(f) != nil || os.Rename(early, path) != nil {
		f.Close()
		os.Remove(early)
		return nil
	}
	return f
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
			notes = append(notes, p.clearOne(path))
		}
	}
	return notes
}

func (p *place) clearOne(dir string) string {
	free, err := unlocked(filepath.Join(dir, lockName))
	if err != nil {
		return fmt.Sprintf("%s was left by a run that was killed, or another is making it, which cannot be told: it is not touched", dir)
	}
	if free == nil {
		return fmt.Sprintf("%s is there, too: another process is making %s", dir, p.out)
	}
	defer free.Close()
	if err := p.disk.RemoveAll(dir); err != nil {
		return fmt.Sprintf("%s was left by a run that was killed, and cannot be removed: %v", dir, err)
	}
	return fmt.Sprintf("%s was left by a run that was killed: it is removed", dir)
}

// unlocked locks the lock file at path; nil where another process has it locked.
func unlocked(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait
		return nil, &fs.PathError{Op: "lock", Path: path, Err: fs.ErrInvalid}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		f.Close()
		if isLocked(err) {
			return nil, nil
		}
		return nil, err
	}
	return f, nil
}
