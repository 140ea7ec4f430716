package module

import (
	"context"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Module describes one linear layer of a checkpoint, as far as that is known
// without reading its numbers.
type Module struct {
	Name      string       `json:"name"`       // prefix of its tensors: "model.layers.0.mlp.up_proj"
	Format    string       `json:"format"`     // "gptq", "awq", "auto-round", "compressed-tensors", "modelslim", "dense"
	Detail    string       `json:"detail"`     // variant within the format, for people: "v1", "gemm", "pack-quantized", "W8A8_DYNAMIC"
	N         int          `json:"n"`          // output features
	K         int          `json:"k"`          // input features
	Bits      int          `json:"bits"`       // of a code; 0 for a plain weight
	GroupSize int          `json:"group_size"` // features per group; -1: one group; 0: plain or irregular
	Symmetric bool         `json:"symmetric"`  // as the configuration says
	ActOrder  bool         `json:"act_order"`  // a group index that is not trivial may be stored
	Bias      bool         `json:"bias"`       // a bias is stored
	Scales    dtype.DType  `json:"scales"`     // type of the scales; Invalid for a plain weight
	Plain     dtype.DType  `json:"plain"`      // type of a plain weight; Invalid for codes
	Recipe    quant.Recipe `json:"recipe"`     // how activations enter
	Bytes     int64        `json:"bytes"`      // of its tensors in the file
	Quantized bool         `json:"quantized"`  // false: a plain weight that stays plain
}

// Finding is something in a module that looks wrong but can be read: a
// mislabelled version, a damaged word. A reader never guesses around it.
type Finding struct {
	Module string `json:"module"`
	Tensor string `json:"tensor"` // full name of the tensor; may be empty
	Text   string `json:"text"`
}

// Refused is a module or tensor that is not read, and why.
type Refused struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Warner is the part of a Format that has something to say about its
// configuration as a whole. It is optional.
type Warner interface {
	// Warnings returns what looks odd, for people; not to be written to.
	Warnings() []string
}

// Tracer is the part of a Format that says what a module is made of, so that what is
// made of it can be kept. It is optional.
type Tracer interface {
	// Trace returns the names of the tensors that Load reads for a module, in any order, and a text of
	// everything else that what it gives depends on: settings and options. An
	// unknown name has no tensors.
	Trace(name string) (tensors []string, settings string)
}

// Format reads the quantized modules of one checkpoint. Its methods may be
// called by several goroutines at once, Load with distinct dst and s.
type Format interface {
	// Name returns the format's name: "gptq", "compressed-tensors", "modelslim".
	Name() string

	// Modules returns the quantized modules in natural order of their names.
	// The slice is not to be written to.
	Modules() []Module

	// Refused returns the modules of this format that are not read.
	Refused() []Refused

	// Load reads the module called name into dst, whose memory is reused; s
	// may be nil. dst is undefined after an error. Its Recipe is the one that
	// the checkpoint asks for, its DType is left Invalid. An unknown name is
	// quant.ErrUnsupported, damage quant.ErrFormat, both naming the tensor.
	Load(ctx context.Context, dst *quant.Linear, name string, s *Scratch) ([]Finding, error)
}
