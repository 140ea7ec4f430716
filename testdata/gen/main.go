package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", "testdata", "directory to write into")
	flag.Parse()
	if err := write(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// write replaces every checkpoint, and the whole of damaged, in root.
func write(root string) error {
	all := map[string]folder{"dense-bf16": denseCheckpoint()}
	gptqCheckpoints(all)
	ctensorsCheckpoints(all)
	if err := os.RemoveAll(filepath.Join(root, "damaged")); err != nil {
		return err
	}
	for name, f := range damagedCheckpoints() {
		all["damaged/"+name] = f
	}
	total := 0
	for name, f := range all {
		dir := filepath.Join(root, filepath.FromSlash(name))
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for file, content := range f {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o644); err != nil {
				return err
			}
			total += len(content)
		}
	}
	fmt.Printf("%d checkpoints, %d bytes\n", len(all), total)
	return nil
}
