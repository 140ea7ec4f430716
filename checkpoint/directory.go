package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// foreign are the formats of weights that are known by the ends of their files' names and
// not read, and what there is to do.
var foreign = []struct {
	ends   []string
	format string
	advice string
}{
	{[]string{".gguf"}, "GGUF, which is not read yet: it needs " + needs["gguf"], ""},
	{[]string{".bin", ".pt", ".pth"}, "PyTorch's pickles, which are not read: they are programs", " (save_pretrained of transformers writes them)"},
	{[]string{".npz"}, "NumPy's archives, which are not read", converted},
	{[]string{".h5"}, "HDF5, which is not read", converted},
	{[]string{".msgpack"}, "Flax's msgpack, which is not read", converted},
	{[]string{".onnx"}, "ONNX, which is not read", converted},
}

// trained are the beginnings of what trainers save beside weights, in files that end as
// weights do.
var trained = []string{"training_args.", "optimizer.", "scheduler.", "scaler.", "rng_state"}

// isWeights reports whether a file is called as one of weights with one of the ends.
func isWeights(name string, ends []string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(name, end) }) &&
		!slices.ContainsFunc(trained, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

const converted = " (convert it with the tools of its framework)"

// wantFiles is what a model directory is known by.
const wantFiles = safetensors.SingleName + ", or " + safetensors.IndexName + " with the files that it names"

// checkDir says clearly what is wrong with a directory that has no model.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such directory: %w", dir, fs.ErrNotExist)
	case err != nil:
		return err
	case !info.IsDir() && strings.EqualFold(filepath.Ext(dir), ".gguf"):
		return quant.Errorf(quant.ErrUnsupported, dir, "", "a model directory with safetensors files", "a gguf file, which is not read yet: it needs %s", needs["gguf"])
	case !info.IsDir():
		return quant.Errorf(quant.ErrFormat, dir, "", "a model directory (give "+filepath.Dir(dir)+")", "a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".safetensors" || e.Name() == safetensors.IndexName {
			return nil
		}
	}
	return noModel(dir, entries)
}

// noModel names what is in a directory instead of safetensors files: the weights of
// another format where there are some.
func noModel(dir string, entries []fs.DirEntry) error {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	for _, f := range foreign {
		var found []string
		for _, name := range all {
			if isWeights(name, f.ends) {
				found = append(found, name)
			}
		}
		if len(found) > 0 {
			return quant.Errorf(quant.ErrUnsupported, dir, "", wantFiles+f.advice, "no safetensors files in it, but %s (%s)", firstOf(found), f.format)
		}
	}
	if len(all) == 0 {
		return quant.Errorf(quant.ErrFormat, dir, "", wantFiles, "an empty directory")
	}
	want, below := wantFiles, -1
	if !slices.Contains(all, modelConfig) { // else dir is the model's, whatever is in it
		below = slices.IndexFunc(all, func(name string) bool { return holdsModel(filepath.Join(dir, name)) })
	}
	switch {
	case below >= 0:
		want += " (give " + filepath.Join(dir, all[below]) + ")"
		all[0], all[below] = all[below], all[0]
		all[0] += " (a directory with a model in it)"
	case entries[0].IsDir():
		all[0] += " (a directory)"
	}
	return quant.Errorf(quant.ErrFormat, dir, "", want, "no safetensors files in it, but %s", firstOf(all))
}

// holdsModel reports whether path is a directory that looks like a model's.
func holdsModel(path string) bool {
	entries, _ := os.ReadDir(path)
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == modelConfig || filepath.Ext(e.Name()) == ".safetensors"
	})
}

// firstOf writes "a", "a and 2 more".
func firstOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%.100s and %d more", names[0], len(names)-1)
}
