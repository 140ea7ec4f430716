package quantize

import (
	"cmp"
	"runtime"
	"slices"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/ctensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// The formats that Model writes.
const (
	GPTQ              = "gptq"    // 2, 3, 4 and 8 bits; zero points stored minus one
	GPTQv2            = "gptq_v2" // the same, zero points stored as they are
	CompressedTensors = ctensors.Name
)

// Formats lists them.
func Formats() []string { return []string{GPTQ, GPTQv2, CompressedTensors} }

// Settings is how a layer is quantized. A number that is 0 means the default; in an
// override, what Options has.
type Settings struct {
	Bits       int  // 2..8; 0: 4
	Group      int  // features under one scale, a divisor of K, or -1 for all; 0: 128
	Asymmetric bool // zero points of their own
	Parity     bool // upstream's round to nearest, bit for bit, not the search of quant.RTN's accurate mode
}

// Override has the settings of the layers that Glob matches, where no override
// before it does.
type Override struct {
	Glob string // as checkpoint.DenseOptions has them
	Settings
}

// Options says what Model writes. The zero value gives GPTQ of 4 bits in groups of
// 128.
type Options struct {
	Format    string // "": GPTQ
	Settings         // of layers that no override matches
	Overrides []Override

	// Which layers are quantized, as checkpoint.DenseOptions has it. What is kept or
	// skipped is copied.
	Quantize, Keep, Skip []string

	Scales    dtype.DType // that scales are stored in; Invalid: the type of each weight. Parity has no other
	ShardSize int64       // no file is larger, unless one tensor is; 0: 5 GB
	Replace   bool        // a quantized model that is at out makes room
	Threads   int         // 0: all that the process may use. The result does not depend on it

	// Progress, where it is set, is called on Model's goroutine when a step begins,
	// and once more, with the Layer, when a layer is done; before the first step, with
	// each Note.
	Progress func(Step)

	disk disk // of tests; nil: the system's
}

// Step is a tensor to copy or a layer to quantize, or a Note.
type Step struct {
	Number, Of int // from 1
	Name       string
	Layer      *Layer // of a layer that is done

	// Note, where it is not empty, is all that the step has: one of the Warnings that
	// are known before the work begins, about what other runs left beside out.
	Note string
}

// DefaultShardSize is that of model hubs.
const DefaultShardSize = 5e9

// or returns s with base's numbers for those that are 0.
func (s Settings) or(base Settings) Settings {
	s.Bits, s.Group = cmp.Or(s.Bits, base.Bits), cmp.Or(s.Group, base.Group)
	return s
}

// check returns o with its defaults, or what is wrong with it.
func (o Options) check() (Options, error) {
	bad := func(field, want, format string, args ...any) (Options, error) {
		return o, quant.Errorf(quant.ErrUnsupported, "quantize", field, want, format, args...)
	}
	switch o.Format {
	case "":
		o.Format = GPTQ
	case GPTQ, GPTQv2, CompressedTensors:
	default:
		return bad("format", "gptq, gptq_v2 or compressed-tensors", "%.40q", o.Format)
	}
	o.Settings = o.or(Settings{Bits: 4, Group: 128})
	if err := o.checkSettings("quantize", o.Settings); err != nil {
		return o, err
	}
	overrides := make([]Override, len(o.Overrides))
	for i, v := range o.Overrides {
		if err := checkpoint.Glob(v.Glob).Check(); err != nil {
			return o, err
		}
		v.Settings = v.or(o.Settings)
		if err := o.checkSettings(v.Glob, v.Settings); err != nil {
			return o, err
		}
		overrides[i] = v
	}
	o.Overrides = overrides
	if o.Scales != dtype.Invalid && !o.Scales.Valid() {
		return bad("scale type", "float32, float16 or bfloat16", "%v", o.Scales)
	}
	if o.ShardSize == 0 {
		o.ShardSize = DefaultShardSize
	}
	if o.ShardSize < 0 {
		return bad("shard size", "at least 1 byte", "%d", o.ShardSize)
	}
	if o.Threads < 0 {
		return bad("threads", "at least 1, or 0 for all", "%d", o.Threads)
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.disk == nil {
		o.disk = system{}
	}
	return o, nil
}

func (o *Options) checkSettings(name string, s Settings) error {
	bits, ok := "2, 3, 4 or 8, as "+o.Format+" has", s.Bits == 2 || s.Bits == 3 || s.Bits == 4 || s.Bits == 8
	if o.Format == CompressedTensors {
		bits, ok = "2 to 8", s.Bits >= 2 && s.Bits <= 8
	}
	switch {
	case !ok:
		return quant.Errorf(quant.ErrUnsupported, name, "bits", bits, "%d", s.Bits)
	case s.Group != -1 && s.Group < 1:
		return quant.Errorf(quant.ErrUnsupported, name, "group", "-1 or at least 1", "%d", s.Group)
	}
	return nil
}

// RisksZero reports whether layers may come out with a zero point of 0, which the
// format cannot store: then Model fails at the first of them, and only its numbers
// tell. Version 1 of GPTQ has none, and parity mode gives one to every group of few
// negative weights or none.
func (o *Options) RisksZero() bool {
	risks := func(s Settings) bool { return s.Asymmetric && s.Parity }
	return (o.Format == "" || o.Format == GPTQ) &&
		(risks(o.Settings) || slices.ContainsFunc(o.Overrides, func(v Override) bool { return risks(v.Settings) }))
}

// version is that of GPTQ's zero points.
func (o *Options) version() int {
	if o.Format == GPTQv2 {
		return 2
	}
	return 1
}
