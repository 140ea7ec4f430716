package quantize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
)

// other is a file of the input that is no tensor: a tokenizer, code, a licence.
type other struct {
	path string // relative to the input
	dir  bool
}

// otherFiles lists what is copied beside the tensors, directories before what is in
// them, and what is left out and why. Links to files count as files, as hub caches
// have them; links to directories are not followed, but for the input itself, which
// may be one.
func otherFiles(in string, shards []string) (copied []other, left []module.Refused, err error) {
	leave := func(path, why string) { left = append(left, module.Refused{Name: filepath.ToSlash(path), Why: why}) }
	root, err := filepath.EvalSymlinks(in)
	if err != nil {
		return nil, nil, err
	}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			leave(name, "a link to nowhere")
			return nil
		}
		if err != nil {
			return err
		}
		switch top := filepath.Dir(name) == "."; {
		case strings.HasPrefix(e.Name(), "."):
			leave(name, "hidden")
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.IsDir():
			copied = append(copied, other{name, true})
		case info.IsDir():
			leave(name, "a link to a directory")
		case !info.Mode().IsRegular():
			leave(name, "a "+info.Mode().Type().String())
		case top && slices.Contains([]string{configName, quantizeName, safetensors.IndexName}, name):
			// written anew
		case slices.Contains(shards, filepath.Join(in, name)):
			// its tensors are
		case weights(name, top):
			leave(name, "the weights in another form")
		default:
			copied = append(copied, other{name, false})
		}
		return nil
	})
	return copied, left, err
}

// The configuration files that are written.
const (
	configName   = "config.json"
	quantizeName = "quantize_config.json" // of GPTQ, beside config.json, where older programs look
)

// weights reports whether a file holds the model's weights once more, not
// quantized. Below the top of a directory there are other models' (a sentence
// encoder's pooling), in the forms that PyTorch reads.
func weights(name string, top bool) bool {
	base := strings.ToLower(filepath.Base(name))
	for _, ext := range []string{".onnx", ".onnx_data", ".gguf", ".h5", ".msgpack", ".ot", ".tflite", ".pb", ".npz"} {
		if strings.HasSuffix(base, ext) {
			return true
		}
	}
	for _, ext := range []string{".safetensors", ".bin", ".pt", ".pth", ".bin.index.json", ".safetensors.index.json"} {
		if top && strings.HasSuffix(base, ext) {
			return true
		}
	}
	return false
}

// copyFiles copies what otherFiles lists from in to out.
func copyFiles(ctx context.Context, d disk, in, out string, list []other) error {
	buf := make([]byte, copyBytes)
	for _, o := range list {
		to := filepath.Join(out, o.path)
		if o.dir {
			if err := d.Mkdir(to); err != nil {
				return err
			}
			continue
		}
		from, err := os.Open(filepath.Join(in, o.path))
		if err != nil {
			return err
		}
		err = create(d, to, func(f file) error {
			for {
				if err := ctx.Err(); err != nil {
					return err
				}
				n, err := from.Read(buf)
				if _, werr := f.Write(buf[:n]); werr != nil {
					return werr
				}
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return fmt.Errorf("%s: %w", from.Name(), err)
				}
			}
		})
		from.Close()
		if err != nil {
			return err
		}
	}
	for _, o := range list {
		if o.dir {
			d.SyncDir(filepath.Join(out, o.path))
		}
	}
	return nil
}
