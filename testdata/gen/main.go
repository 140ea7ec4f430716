package main

import (
	"bytes"
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

// write makes the checkpoints in root: every file of theirs, and no other in
// damaged or in one of their folders. A file that is right already is not
// touched.
func write(root string) error {
	all := map[string]folder{"dense-bf16": denseCheckpoint()}
	gptqCheckpoints(all)
	autoRoundCheckpoints(all)
	awqCheckpoints(all)
	ctensorsCheckpoints(all)
	modelslimCheckpoints(all)
	moeCheckpoints(all)
	for name, f := range damagedCheckpoints() {
		all["damaged/"+name] = f
	}
	files := map[string][]byte{}
	total := 0
	for name, f := range all {
		for file, content := range f {
			files[filepath.Join(root, filepath.FromSlash(name), file)] = content
			total += len(content)
		}
	}
	for path, content := range files {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	for name := range all {
		if err := removeOthers(filepath.Join(root, filepath.FromSlash(name)), files); err != nil {
			return err
		}
	}
	fmt.Printf("%d checkpoints, %d bytes\n", len(all), total)
	return removeOthers(filepath.Join(root, "damaged"), files)
}

// removeOthers removes the files under dir that are not in files, and the
// folders that are then empty.
func removeOthers(dir string, files map[string][]byte) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if err := removeOthers(path, files); err != nil {
				return err
			}
			if left, err := os.ReadDir(path); err != nil || len(left) > 0 {
				continue
			}
		} else if _, ours := files[path]; ours {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
