package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/modelslim"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// The files that may say how a model is quantized, in the order in which they
// are asked. The last two belong to formats that are refused.
const (
	modelConfig    = "config.json"
	autoGPTQConfig = "quantize_config.json"
	awqConfig      = "quant_config.json"
	modelOptConfig = "hf_quant_config.json"
	modelSlimGlob  = "quant_model_description*.json"
)

// settings is what the configuration files of a directory say.
type settings struct {
	modelType  string
	modelTypes []string // and that of its text part
	head       heads
	dtype      dtype.DType
	quant      *quantConfig // nil: not quantized as far as they say
	slim       *quantConfig // modelslim's description, where there is one
	warnings   []string
}

// heads is how the rows of an attention are divided, 0 where it is not said. Gemma 4 has
// larger heads in its global layers.
type heads struct{ queries, keys, dim, global int }

// quantConfig is one quantization configuration.
type quantConfig struct {
	source string // file and key
	method string // in lower case; never empty
	text   json.RawMessage
	object *module.Object
}

// configFile is a configuration file and its path.
type configFile struct {
	path string
	text []byte
}

// readSettings reads the configuration files of dir. All of them may be
// missing.
func readSettings(dir string) (*settings, error) {
	names := []string{modelConfig, autoGPTQConfig, awqConfig, modelOptConfig}
	configs := len(names)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if ok, _ := filepath.Match(modelSlimGlob, e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	var files []configFile
	for i, name := range names {
		path, limit := filepath.Join(dir, name), module.MaxConfig
		if i >= configs {
			limit = modelslim.MaxDescription
		}
		text, err := readFile(path, limit)
		if err != nil {
			return nil, err
		}
		if text != nil {
			files = append(files, configFile{path, text})
		}
	}
	return parseSettings(files)
}

// parseSettings reads configuration files in the order in which they count.
// Two that contradict each other about the format are an error, about numbers
// a warning: the first counts.
func parseSettings(files []configFile) (*settings, error) {
	s := &settings{}
	var found []quantConfig
	add := func(o *module.Object, file string, text json.RawMessage) error {
		if len(o.Fields) == 0 {
			return nil
		}
		method, err := methodOf(o, file)
		if err == nil {
			found = append(found, quantConfig{o.Name, method, text, o})
		}
		return err
	}
	for _, f := range files {
		file := filepath.Base(f.path)
		if ok, _ := filepath.Match(modelSlimGlob, file); ok {
			if s.slim != nil {
				return nil, quant.Errorf(quant.ErrFormat, f.path, "", "one description of the tensors", "a second one beside %s", s.slim.source)
			}
			// Its text is for package modelslim: it may have a line for each of
			// a million tensors.
			s.slim = &quantConfig{f.path, "modelslim", f.text, &module.Object{Name: f.path}}
			found = append(found, *s.slim)
			continue
		}
		o, err := module.ParseObject(f.path, f.text)
		if err != nil {
			return nil, err
		}
		if file == modelConfig {
			err = s.model(o, add)
		} else {
			err = add(o, file, f.text)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return s, nil
	}
	s.quant = &found[0]
	for i := range found[1:] {
		if err := s.compare(&found[i+1]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// model reads config.json: the model's type, its element type and the
// quantization configurations, which multimodal models keep one level down, in
// text_config and the like.
func (s *settings) model(o *module.Object, add func(*module.Object, string, json.RawMessage) error) error {
	nested := []*module.Object{o}
	for _, f := range o.Fields {
		if strings.HasSuffix(f.Key, "_config") && f.Value[0] == '{' && !slices.Contains(quantKeys, f.Key) {
			sub, err := module.ParseObject(o.Name+": "+f.Key, f.Value)
			if err != nil {
				return err
			}
			nested = append(nested, sub)
		}
	}
	var err error
	if s.modelType, err = o.Text("model_type"); err != nil {
		return err
	}
	for _, o := range nested {
		if o == nested[0] || strings.HasSuffix(o.Name, ": text_config") {
			s.attention(o)
		}
		for _, key := range quantKeys {
			q, err := o.Object(key)
			if err == nil && q != nil {
				text, _ := o.Raw(key)
				err = add(q, modelConfig, text)
			}
			if err != nil {
				return err
			}
		}
		for _, key := range []string{"torch_dtype", "dtype"} {
			name, err := o.Text(key)
			if err != nil || name == "" || s.dtype.Valid() {
				continue // a newer "dtype" may be an object with one for each part
			}
			if s.dtype, err = dtype.Parse(name); err != nil {
				s.warnings = append(s.warnings, fmt.Sprintf("%s: %s is %.40q: no activation type known", o.Name, key, name))
			}
		}
	}
	return nil
}

// attention reads the type of a model, or of its text part, and its heads. What
// is no number there (some models have a list, one for each layer) is not known.
func (s *settings) attention(o *module.Object) {
	if t, err := o.Text("model_type"); err == nil && t != "" {
		s.modelTypes = append(s.modelTypes, t)
	}
	number := func(keys ...string) int {
		for _, key := range keys {
			if n, err := o.Int(key, 0); err == nil && n > 0 && n <= quant.MaxDim {
				return n
			}
		}
		return 0
	}
	h := heads{queries: number("num_attention_heads", "n_head"), keys: number("num_key_value_heads"), dim: number("head_dim"), global: number("global_head_dim")}
	if h.queries == 0 {
		return
	}
	if hidden := number("hidden_size", "n_embd"); h.dim == 0 && hidden%h.queries == 0 {
		h.dim = hidden / h.queries
	}
	if h.keys == 0 && !o.Has("num_key_value_heads") {
		h.keys = h.queries
	}
	s.head = h
}

var quantKeys = []string{"quantization_config", "compression_config"}

// compare checks a further configuration against the one that counts.
func (s *settings) compare(other *quantConfig) error {
	first := s.quant
	if first.method != other.method {
		return quant.Errorf(quant.ErrFormat, other.source, "quant_method", fmt.Sprintf("%s as %s says", first.method, first.source), "%s", other.method)
	}
	for _, key := range []string{"bits", "group_size", "sym", "desc_act", "checkpoint_format", "format"} {
		a, ok := first.object.Raw(key)
		b, both := other.object.Raw(key)
		if ok && both && string(a) != string(b) {
			s.warnings = append(s.warnings, fmt.Sprintf("%s says %s is %.40s, but %s says %.40s, which counts", other.source, key, b, first.source, a))
		}
	}
	return nil
}

// aliases are other spellings of formats' names.
var aliases = map[string]string{
	"compressed_tensors": "compressed-tensors", "ascend": "modelslim",
	"intel/auto-round": "auto-round", "auto_round": "auto-round", "autoround": "auto-round",
}

// methodOf names the format that a configuration is of, from what it says or,
// where older tools said nothing, from the keys that only they wrote.
func methodOf(o *module.Object, file string) (string, error) {
	for _, key := range []string{"quant_method", "method"} {
		m, err := o.Text(key)
		if err != nil {
			return "", err
		}
		if m != "" {
			m = strings.ToLower(m)
			if same, ok := aliases[m]; ok {
				m = same
			}
			return m, nil
		}
	}
	switch {
	case file == modelOptConfig:
		return "modelopt", nil
	case o.Has("model_quant_type") || o.Has("kv_quant_type") || o.Has("reduce_quant_type"):
		return "modelslim", nil // what MindIE writes into config.json
	case o.Has("config_groups") || o.Has("quantization_config") || strings.HasSuffix(o.Name, "compression_config"):
		return "compressed-tensors", nil
	case o.Has("w_bit") || o.Has("q_group_size") || o.Has("zero_point"):
		return "awq", nil
	case o.Has("bits") && o.Has("group_size"):
		return "gptq", nil
	}
	return "", quant.Errorf(quant.ErrFormat, o.Name, "quant_method", "the name of a format", "absent")
}

// readFile returns the contents of a regular file of at most limit bytes, or
// nil where there is none.
func readFile(path string, limit int) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, quant.Errorf(quant.ErrFormat, path, "", "a file", "a %v", info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, quant.Errorf(quant.ErrFormat, path, "size", fmt.Sprintf("at most %d MiB", limit>>20), "more")
	}
	return b, nil
}
