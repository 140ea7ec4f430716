package main

import (
	"bytes"
	"crypto/rand"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// task is what the machine's first process does; taskFile tells it.
type task struct {
	Args  []string
	Env   []string
	Dir   string
	Token string // marks the lines that are meant for the runner
}

const taskFile = "/task.json"

// ramDisk packs everything that the machine needs to run the program args[0],
// with self as its first process. token marks that one's own lines in the output.
func ramDisk(self string, args, with []string) (disk []byte, token string, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, "", err
	}
	program, err := filepath.Abs(args[0])
	if err != nil {
		return nil, "", err
	}
	a := newArchive()
	for _, d := range []string{"dev", "proc", "sys", "tmp"} {
		a.dir(d)
	}
	a.device("dev/console", 5, 1)
	for _, f := range []struct{ from, to string }{{self, "init"}, {program, program}} {
		if err := static(f.from); err != nil {
			return nil, "", err
		}
		if err := a.copy(f.from, f.to); err != nil {
			return nil, "", err
		}
	}
	if err := a.flat(dir); err != nil {
		return nil, "", err
	}
	if _, err := os.Stat("testdata"); err == nil {
		with = append([]string{"testdata"}, with...)
	}
	for _, path := range with {
		if err := a.tree(path); err != nil {
			return nil, "", err
		}
	}
	token = rand.Text()
	t := task{Args: append([]string{program}, guestArgs(args[1:])...), Env: guestEnv(os.Environ()), Dir: dir, Token: token}
	text, err := json.Marshal(t)
	if err != nil {
		return nil, "", err
	}
	a.file(taskFile, text)
	return a.end(), token, nil
}

// static refuses programs that need a loader and libraries.
func static(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static: build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}

// guestArgs drops the log of opened files that go test asks for: it is for
// the test cache, and stays in the machine.
func guestArgs(args []string) []string {
	var out []string
	for _, a := range args {
		if !strings.HasPrefix(a, "-test.testlogfile=") {
			out = append(out, a)
		}
	}
	return out
}

// guestEnv keeps Go's garbage collector from AVX-512: it uses an instruction
// that Bochs 2.7 gets wrong, and then finds marks on free objects. Kernels
// that ask CPUID are not affected.
func guestEnv(env []string) []string {
	debug := "cpu.avx512vl=off"
	var out []string
	for _, e := range env {
		switch name, value, _ := strings.Cut(e, "="); name {
		case "TMPDIR":
		case "GODEBUG":
			debug = strings.TrimPrefix(value+","+debug, ",")
		default:
			out = append(out, e)
		}
	}
	return append(out, "TMPDIR=/tmp", "GODEBUG="+debug)
}

// archive is a cpio archive in the "newc" format, as the kernel unpacks it.
type archive struct {
	buf  bytes.Buffer
	seen map[string]bool
}

func newArchive() *archive { return &archive{seen: map[string]bool{}} }

// entry writes one member once; path is absolute or relative to the root.
func (a *archive) entry(path string, mode uint32, major, minor int, content []byte) {
	path = strings.TrimPrefix(filepath.ToSlash(path), "/")
	if a.seen[path] {
		return
	}
	a.seen[path] = true
	if parent := filepath.ToSlash(filepath.Dir(path)); parent != "." {
		a.dir(parent)
	}
	a.header(path, mode, major, minor, len(content))
	a.buf.Write(content)
	a.pad()
}

func (a *archive) header(path string, mode uint32, major, minor, size int) {
	fmt.Fprintf(&a.buf, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		len(a.seen), mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(path)+1, 0)
	a.buf.WriteString(path + "\x00")
	a.pad()
}

func (a *archive) pad() {
	for a.buf.Len()%4 != 0 {
		a.buf.WriteByte(0)
	}
}

func (a *archive) dir(path string)                  { a.entry(path, 0o040777, 0, 0, nil) }
func (a *archive) file(path string, content []byte) { a.entry(path, 0o100777, 0, 0, content) }
func (a *archive) device(path string, major, minor int) {
	a.entry(path, 0o020600, major, minor, nil)
}

func (a *archive) copy(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.file(to, content)
	return nil
}

// flat takes the plain files of a directory, not those below it.
func (a *archive) flat(dir string) error {
	a.dir(dir)
	found, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range found {
		if e.Type().IsRegular() {
			path := filepath.Join(dir, e.Name())
			if err := a.copy(path, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// tree takes a file, or a directory with all plain files in it.
func (a *archive) tree(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			a.dir(p)
		case e.Type().IsRegular():
			return a.copy(p, p)
		}
		return nil
	})
}

func (a *archive) end() []byte {
	a.header("TRAILER!!!", 0, 0, 0, 0)
	for a.buf.Len()%512 != 0 {
		a.buf.WriteByte(0)
	}
	return a.buf.Bytes()
}
