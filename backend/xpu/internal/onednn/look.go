package onednn

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// look says what is wrong with a file before the loader maps it: that kills the process where
// a file is shorter than it says, and waits where it is a pipe. "" is nothing that could be seen.
func look(path string) string {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err) && strings.HasPrefix(path, "~"), os.IsNotExist(err) && strings.Contains(path, "$"):
		return "does not exist: ~ and $ are the shell's, and not replaced here"
	case os.IsNotExist(err):
		return "does not exist"
	case err != nil:
		return err.Error()
	case info.IsDir():
		return "is a folder; the file in it is called " + soname
	case !info.Mode().IsRegular():
		return fmt.Sprintf("is no file (%v)", info.Mode().Type())
	}
	f, err := elf.Open(path)
	switch {
	case os.IsPermission(err):
		return err.Error()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF): // the tables of sections are at its end
		return "is cut short, or no shared library"
	case err != nil:
		return fmt.Sprintf("is not a shared library: %v", err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && (p.Off+p.Filesz < p.Off || p.Off+p.Filesz > uint64(info.Size())) {
			return fmt.Sprintf("is cut short: it has %d bytes and says that it has %d at least", info.Size(), p.Off+p.Filesz)
		}
	}
	return ""
}
