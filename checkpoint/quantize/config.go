package quantize

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/ctensors"
	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// config returns the quantization configuration: the general settings, the overrides
// and every linear layer that stays plain by its own name.
func (p *plan) config() []module.Field {
	if p.o.Format == CompressedTensors {
		return p.compressedTensors()
	}
	// The first entry that matches decides.
	settings := func(s Settings) gptq.Scheme {
		return gptq.Scheme{Bits: s.Bits, Group: s.Group, Symmetric: !s.Asymmetric}
	}
	c := gptq.Config{Scheme: settings(p.o.Settings), Version: p.o.version(), LMHead: p.quantizes(head)}
	for _, pattern := range p.plainPatterns() {
		c.Overrides = append(c.Overrides, gptq.Override{Pattern: pattern, Keep: true})
	}
	for _, a := range p.aliases() {
		c.Overrides = append(c.Overrides, gptq.Override{Pattern: a.pattern, Keep: a.Bits == 0, Scheme: settings(a.Settings)})
	}
	for _, v := range p.o.Overrides {
		c.Overrides = append(c.Overrides, gptq.Override{Pattern: checkpoint.Glob(v.Glob).Pattern(), Scheme: settings(v.Settings)})
	}
	return c.Fields()
}

// manyNames is how many plain modules a glob has to match to stand for them.
const manyNames = 100

// plainPatterns returns patterns of the modules in p.ignored and of nothing else: their
// names, but for thousands of experts the glob of the options that keeps or skips them.
// Readers bound the number of patterns, and match each one with each name.
func (p *plan) plainPatterns() (out []string) {
	quantized := p.names()
	for _, j := range p.joints {
		if j.settings[0].Bits > 0 {
			quantized = append(quantized, j.whole)
		}
	}
	globs := slices.DeleteFunc(slices.Concat(p.o.Keep, p.o.Skip), func(g string) bool {
		n := 0
		for _, name := range p.ignored {
			if checkpoint.Glob(g).Match(name) {
				n++
			}
		}
		return n < manyNames || slices.ContainsFunc(quantized, checkpoint.Glob(g).Match)
	})
	seen := map[string]bool{}
	for _, name := range p.ignored {
		pattern := regexp.QuoteMeta(name) + "$"
		if i := slices.IndexFunc(globs, func(g string) bool { return checkpoint.Glob(g).Match(name) }); i >= 0 {
			pattern = checkpoint.Glob(globs[i]).Pattern()
		}
		if !seen[pattern] && name != head { // which LMHead is for
			out = append(out, pattern)
		}
		seen[pattern] = true
	}
	return out
}

// compressedTensors is config for that format. Of several patterns that match a layer
// vLLM takes the first of the file and the library of the format the first in the order
// of their text. So a layer that more than one of them matches is named beside the one
// that decides: names come before patterns.
func (p *plan) compressedTensors() []module.Field {
	c := ctensors.Config{}
	exact := make([][]string, len(p.o.Overrides))
	for _, l := range p.layers {
		if o := p.overridesOf(l.Name); len(o) > 1 {
			exact[o[0]] = append(exact[o[0]], entry(l.Name))
		}
	}
	for _, a := range p.aliases() {
		if a.Bits != 0 { // ignored parts are found by their own names
			c.Schemes = append(c.Schemes, ctensors.Scheme{Targets: []string{"re:" + a.pattern}, Bits: a.Bits, Group: a.Group, Symmetric: !a.Asymmetric})
		}
	}
	for i, v := range p.o.Overrides {
		// A pattern even of a plain name: it is to match as the glob does.
		targets := append(exact[i], "re:"+checkpoint.Glob(v.Glob).Pattern())
		c.Schemes = append(c.Schemes, ctensors.Scheme{Targets: targets, Bits: v.Bits, Group: v.Group, Symmetric: !v.Asymmetric})
	}
	s := p.o.Settings
	c.Schemes = append(c.Schemes, ctensors.Scheme{Targets: []string{ctensors.Class}, Bits: s.Bits, Group: s.Group, Symmetric: !s.Asymmetric})
	for _, name := range p.ignored {
		c.Ignore = append(c.Ignore, entry(name))
	}
	return c.Fields()
}

// entry returns a module's name as targets and ignore have it.
func entry(name string) string {
	if strings.HasPrefix(name, "re:") || name == ctensors.Class {
		return "re:" + regexp.QuoteMeta(name) + "$"
	}
	return name
}

// configKey is where config.json has the quantization configuration.
const configKey = "quantization_config"

// modelConfig returns the text of config.json at path with the quantization
// configuration added and everything else as it is; a file that is not there counts
// as an empty object.
func modelConfig(path string, fields []module.Field) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte("{}"), nil
	}
	if err != nil {
		return nil, err
	}
	o, err := module.ParseObject(path, text)
	if err != nil {
		return nil, err
	}
	added := module.NewField(configKey, nil)
	added.Value = module.WriteObject(fields, 1)
	at := slices.IndexFunc(o.Fields, func(f module.Field) bool { return f.Key == configKey })
	if at < 0 {
		return appendField(text, added, len(o.Fields) == 0), nil
	}
	// Null or empty, since the model is plain.
	if bytes.Contains(text, []byte("NaN")) || bytes.Contains(text, []byte("Infinity")) {
		return nil, quant.Errorf(quant.ErrUnsupported, path, configKey, "absent in a file with numbers that JSON has not", "%.40s", o.Fields[at].Value)
	}
	o.Fields[at] = added
	return append(module.WriteObject(o.Fields, 0), '\n'), nil
}

// tied reports whether the configuration at path, which has been read before, says
// that the head is the embedding.
func tied(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	o, err := module.ParseObject(path, text)
	for err == nil && o != nil {
		if is, _ := o.Bool("tie_word_embeddings", false); is {
			return true
		}
		o, err = o.Object("text_config")
	}
	return false
}

// appendField puts a field at the end of the JSON object text.
func appendField(text []byte, f module.Field, first bool) []byte {
	end := bytes.LastIndexByte(text, '}')
	out := bytes.TrimRight(text[:end:end], " \t\r\n")
	if !first {
		out = append(out, ',')
	}
	out = append(out, "\n  \""+f.Key+"\": "...)
	out = append(out, f.Value...)
	return append(out, "\n}\n"...)
}
