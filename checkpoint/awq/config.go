package awq

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// Version is how the tensors of a module are laid out.
type Version uint8

// The layouts; see the package comment.
const (
	GEMM Version = iota
	GEMV
	GEMVFast
)

// String returns the name that configurations have for it.
func (v Version) String() string { return [...]string{"gemm", "gemv", "gemv_fast"}[v] }

// versions are the names of layouts in configurations. Some are of kernels
// that run modules laid out for gemm.
var versions = map[string]Version{
	"": GEMM, "gemm": GEMM, "exllama": GEMM, "exllamav2": GEMM, "exllama_v2": GEMM, "ipex": GEMM,
	"gemv": GEMV, "gemv_fast": GEMVFast, "gemv-fast": GEMVFast, "llm-awq": GEMVFast, "llm_awq": GEMVFast,
}

// Bits are those of a code.
const Bits = 4

// Settings is what a configuration says of one module.
type Settings struct {
	GroupSize  int     // features of a group; -1: one group
	ZeroPoints bool    // there are zero points; otherwise all are 8, stored or not
	Version    Version // of no weight where types and shapes say otherwise

	GroupSizeFrom string // what errors call the place that GroupSize is from; "" stands for ConfigName
}

// config is a parsed quantization configuration.
type config struct {
	Settings
	plain []string // parts of the names of modules that are said not to be quantized
}

// unsupported says which variant is refused and where it is asked for; layers
// are counted by Open.
type unsupported struct{ name, field, has, want string }

func (u *unsupported) Error() string { return u.name + ": " + u.field + " is " + u.has }

// parseConfig reads a configuration; name stands for it in errors.
func parseConfig(name string, data []byte) (*config, error) {
	o, err := module.ParseObject(name, data)
	if err != nil {
		return nil, err
	}
	_, method, err := text(o, "quant_method", "method")
	if err != nil {
		return nil, err
	}
	if method != "" && method != "awq" {
		return nil, &unsupported{o.Name, "quant_method", method, "awq"}
	}
	bits, err := number(o, "bits", "w_bit")
	if err != nil {
		return nil, err
	}
	if bits != Bits {
		return nil, &unsupported{o.Name, "bits", fmt.Sprint(bits), "4"}
	}
	c := &config{}
	if c.GroupSize, err = number(o, "group_size", "q_group_size"); err != nil {
		return nil, err
	}
	if c.GroupSize != -1 && c.GroupSize < 1 {
		return nil, quant.Errorf(quant.ErrFormat, o.Name, "group_size", "-1 or at least 1", "%d", c.GroupSize)
	}
	sym, err := o.Bool("sym", false)
	if err != nil {
		return nil, err
	}
	if c.ZeroPoints, err = o.Bool("zero_point", !sym); err != nil {
		return nil, err
	}
	_, pack, err := text(o, "pack_dtype")
	if err != nil {
		return nil, err
	}
	if pack = strings.TrimPrefix(pack, "torch."); pack != "" && pack != "int32" {
		return nil, &unsupported{o.Name, "pack_dtype", pack, "int32"}
	}
	if c.plain, err = o.Texts("modules_to_not_convert"); err != nil {
		return nil, err
	}
	return c, c.parseVersion(o)
}

// parseVersion finds out which layout is meant. GPTQModel says it by its own
// keys, and transformers has a word for llm-awq in another.
func (c *config) parseVersion(o *module.Object) error {
	key, version, err := text(o, "version", "checkpoint_format", "format")
	if err != nil {
		return err
	}
	_, backend, err := text(o, "backend")
	if err != nil {
		return err
	}
	if backend == "llm-awq" {
		key, version = "backend", backend
	}
	v, ok := versions[version]
	if !ok {
		return &unsupported{o.Name, key, version, "gemm, gemv, gemv_fast or llm-awq"}
	}
	c.Version = v
	return nil
}

// either returns the first of keys that o has, all of which mean the same, or
// the first of all. Another one with another value is an error.
func either(o *module.Object, keys ...string) (string, error) {
	found, value := "", []byte(nil)
	for _, key := range keys {
		v, ok := o.Raw(key)
		switch {
		case !ok:
		case found == "":
			found, value = key, v
		case !bytes.EqualFold(value, v):
			return "", quant.Errorf(quant.ErrFormat, o.Name, key, fmt.Sprintf("%.60s as %s says", value, found), "%.60s", v)
		}
	}
	if found == "" {
		found = keys[0]
	}
	return found, nil
}

// text returns a string field in lower case, or "", and its key.
func text(o *module.Object, keys ...string) (key, value string, err error) {
	if key, err = either(o, keys...); err == nil {
		value, err = o.Text(key)
	}
	return key, strings.ToLower(value), err
}

// number returns an integer field that must be there.
func number(o *module.Object, keys ...string) (int, error) {
	key, err := either(o, keys...)
	if err != nil {
		return 0, err
	}
	if !o.Has(key) {
		return 0, quant.Errorf(quant.ErrFormat, o.Name, key, "a number", "absent")
	}
	return o.Int(key, 0)
}

// counted turns a refusal of the configuration into an error that says which
// layers it concerns.
func counted(err error, layers []string) error {
	var u *unsupported
	if !errors.As(err, &u) {
		return err
	}
	first := ""
	if len(layers) > 0 {
		first = layers[0]
	}
	return quant.Errorf(quant.ErrUnsupported, u.name, u.field, u.want, "%.40s (%s: %s)", u.has, name, module.Layers(len(layers), first))
}
