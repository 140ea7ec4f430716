package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// flags are the compiler's. -ffp-contract=off: sums are written as they are to be
// made, and ptxas may not fuse what clang has not.
var flags = strings.Fields("-x cuda --cuda-device-only -nocudainc -nocudalib --cuda-gpu-arch=sm_80 --cuda-feature=+ptx71 " +
	"-O3 -std=c++17 -ffp-contract=off -fno-verbose-asm -Wall -Wextra -Werror -S -o -")

// compile gives the PTX of a module.
func compile(clang, dir, module string) ([]byte, error) {
	cmd := exec.Command(clang, append(slices.Clone(flags), module+".cu")...)
	cmd.Dir = dir // so that no path gets into the text
	var out, message bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &message
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", clang, module, err, message.Bytes())
	}
	return tidy(out.Bytes()), nil
}

// tidy leaves out comments, which are a third of clang's text, and empty lines.
func tidy(text []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		line, _, _ = bytes.Cut(line, []byte("//"))
		if line = bytes.TrimRight(line, " \t\r\n"); len(line) > 0 {
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// sameModules checks that the folder has the sources of these modules and no others.
func sameModules(dir string, modules []string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.cu"))
	if err != nil {
		return err
	}
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(p), ".cu"))
	}
	slices.Sort(names)
	if !slices.Equal(names, slices.Sorted(slices.Values(modules))) {
		return errors.New("sources are " + strings.Join(names, " ") + ", modules are " + strings.Join(modules, " "))
	}
	return nil
}
