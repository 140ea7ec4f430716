package quantize

import (
	"math"

	"github.com/bitlane/bitlane/checkpoint/module"
)

// Report is what Model did.
type Report struct {
	In       string           `json:"in"`
	Out      string           `json:"out"`
	Format   string           `json:"format"`
	Layers   []Layer          `json:"layers"`
	Kept     []module.Refused `json:"kept"` // linear layers that stay plain, and why
	Files    []string         `json:"files"`
	LeftOut  []module.Refused `json:"left_out"` // files of the input that the output has not, and why
	Warnings []string         `json:"warnings"`
	Summary  Summary          `json:"summary"`
}

// Layer is one quantized layer. Errors are relative squared ones, Σ(w−ŵ)²/Σw².
type Layer struct {
	Name      string   `json:"name"`
	N         int      `json:"n"`
	K         int      `json:"k"`
	Bits      int      `json:"bits"`
	Group     int      `json:"group_size"`
	Symmetric bool     `json:"symmetric"`
	Method    string   `json:"method"` // "rtn-accurate" or, in parity mode, "rtn"
	Bytes     int64    `json:"bytes"`  // written
	Error     float64  `json:"error"`
	RTNError  *float64 `json:"rtn_error"` // of parity mode with the same bits, groups and zero points; nil where its scales overflow

}

// sums are over a layer's weights, or a part of them.
type sums struct{ power, err, rtn float64 }

func (s *sums) add(t sums) {
	s.power += t.power
	s.err += t.err
	s.rtn += t.rtn
}

// relative returns both errors; of a weight of zeros they are 0.
func (s *sums) relative() (err float64, rtn *float64) {
	if math.IsInf(s.rtn, 1) {
		return s.err / s.power, nil
	}
	rtn = new(float64)
	if s.power > 0 {
		err, *rtn = s.err/s.power, s.rtn/s.power
	}
	return err, rtn
}

// Summary is over all quantized layers.
type Summary struct {
	Layers   int      `json:"layers"`
	Error    float64  `json:"error"`     // relative squared error of all weights together
	RTNError *float64 `json:"rtn_error"` // of parity mode; nil where some layer has none
	Copied   int      `json:"copied"`    // tensors
	InBytes  int64    `json:"in_bytes"`  // of all tensors
	OutBytes int64    `json:"out_bytes"`
	Shards   int      `json:"shards"`
}
