// Command ptxgate builds the CUDA kernels and holds them to their promises.
//
//	ptxgate [-write] [-dir kernels/cuda] [-clang clang-19] -ptxas FILE
//
// It compiles each DIR/*.cu to PTX with clang, and translates the PTX with ptxas
// for every architecture that we name. It fails if a committed PTX file is not
// what its source gives, if a kernel spills a register, has local memory or needs
// more registers than the kernels' table says, if the table and the PTX differ
// otherwise, or if DIR/RESOURCES.md is not what it would write. With -write, it
// writes the PTX files and RESOURCES.md, and then fails only for what is wrong
// with the kernels. Neither program needs a GPU.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	kernels "github.com/bitlane/bitlane/kernels/cuda"
)

func main() {
	write := flag.Bool("write", false, "write the PTX files and RESOURCES.md")
	dir := flag.String("dir", "kernels/cuda", "folder of the kernels")
	clang := flag.String("clang", "clang-19", "compiler")
	ptxas := flag.String("ptxas", "", "NVIDIA's assembler, of the version in RESOURCES.md")
	flag.Parse()
	if err := run(*dir, *clang, *ptxas, *write); err != nil {
		fmt.Fprintln(os.Stderr, "ptxgate:", err)
		os.Exit(1)
	}
}

func run(dir, clang, ptxas string, write bool) error {
	temp, err := os.MkdirTemp("", "ptxgate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)

	modules := kernels.Modules()
	if err := sameModules(dir, modules); err != nil {
		return err
	}
	texts := make([][]byte, len(modules))
	err = parallel(len(modules), func(i int) error {
		text, err := compile(clang, dir, modules[i])
		texts[i] = text
		return err
	})
	if err != nil {
		return err
	}
	var wrong []error
	for i, m := range modules {
		wrong = append(wrong, keep(filepath.Join(dir, m+".ptx"), texts[i], write))
	}

	used := make([]map[string]resources, len(modules)*len(architectures))
	err = parallel(len(used), func(i int) error {
		m, arch := i/len(architectures), architectures[i%len(architectures)]
		path := filepath.Join(temp, fmt.Sprintf("%s.%s.ptx", modules[m], arch))
		if err := os.WriteFile(path, texts[m], 0o600); err != nil {
			return err
		}
		r, err := assemble(ptxas, path, arch)
		used[i] = r
		return err
	})
	if err != nil {
		return err
	}
	all := map[string]map[string]resources{} // by module/entry, then by architecture
	for i, r := range used {
		for name, of := range r {
			key := modules[i/len(architectures)] + "/" + name
			if all[key] == nil {
				all[key] = map[string]resources{}
			}
			all[key][architectures[i%len(architectures)]] = of
		}
	}
	wrong = append(wrong, judge(kernels.Kernels(), all))
	for i, m := range modules {
		wrong = append(wrong, sameEntries(m, texts[i], kernels.Kernels()))
	}
	version, err := ptxasVersion(ptxas)
	if err != nil {
		return err
	}
	wrong = append(wrong, keep(filepath.Join(dir, "RESOURCES.md"), table(version, kernels.Kernels(), all), write))
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	fmt.Printf("ptxgate: %d kernels of %d modules for %d architectures: no spills, registers within the budget, %d KB of PTX\n",
		len(all), len(modules), len(architectures), size(texts)>>10)
	return nil
}

func size(texts [][]byte) int {
	n := 0
	for _, t := range texts {
		n += len(t)
	}
	return n
}

// keep writes the file, or compares it.
func keep(path string, want []byte, write bool) error {
	if write {
		return os.WriteFile(path, want, 0o644)
	}
	have, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return fmt.Errorf("%s is not what its source gives: run make kernels", path)
	}
	return nil
}

// parallel runs f for 0 to n-1 on all CPUs.
func parallel(n int, f func(int) error) error {
	failed := make([]error, n)
	next := make(chan int)
	var done sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		done.Go(func() {
			for i := range next {
				failed[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	done.Wait()
	return errors.Join(failed...)
}
