// Command _gen writes the assembly of bitlane and the Go declarations beside
// it. It is a module of its own, so that its dependencies are nobody else's.
//
//	go -C _gen run .                    writes every file
//	go -C _gen run . -only avx2         only the files whose path holds "avx2"
//
// Each source file here registers, in an init, the files that it writes: for
// amd64 through avo (register), for arm64 as text (registerText). A file holds
// one family of kernels and begins with its maths, layout and registers.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// output is one generated file, its path relative to the module's root.
type output struct {
	path  string
	write func() (files map[string][]byte, err error)
}

var outputs []output

func main() {
	only := flag.String("only", "", "write only the files whose path holds this `text`")
	root := flag.String("root", "..", "the module's root `directory`")
	flag.Parse()
	slices.SortFunc(outputs, func(a, b output) int { return strings.Compare(a.path, b.path) })
	for _, o := range outputs {
		if !strings.Contains(o.path, *only) {
			continue
		}
		files, err := o.write()
		if err != nil {
			fail(o.path, err)
		}
		for path, text := range files {
			if err := os.WriteFile(filepath.Join(*root, filepath.FromSlash(path)), text, 0o644); err != nil {
				fail(path, err)
			}
		}
	}
}

func fail(path string, err error) {
	fmt.Fprintf(os.Stderr, "_gen: %s: %v\n", path, err)
	os.Exit(1)
}
