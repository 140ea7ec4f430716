package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	case !info.IsDir() && strings.HasSuffix(dir, ".gguf"):
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
			for _, end := range f.ends {
				if strings.HasSuffix(strings.ToLower(name), end) {
					found = append(found, name)
				}
			}
		}
		if len(found) > 0 {
			return quant.Errorf(quant.ErrUnsupported, dir, "", wantFiles+f.advice, "no safetensors files in it, but %s (%s)", firstOf(found), f.format)
		}
	}
	if len(all) == 0 {
		return quant.Errorf(quant.ErrFormat, dir, "", wantFiles, "an empty directory")
	}
	return quant.Errorf(quant.ErrFormat, dir, "", wantFiles, "no safetensors files in it, but %s", firstOf(all))
}

// firstOf writes "a", "a and 2 more".
func firstOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%.100s and %d more", names[0], len(names)-1)
}
