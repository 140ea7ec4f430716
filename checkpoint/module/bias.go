package module

import (
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// ReadBias reads the tensor called name, if there is one, as the bias of dst:
// n floating-point elements, all finite. It uses buffer i of s. Without such a
// tensor dst has no bias.
func ReadBias(dst *quant.Linear, src safetensors.Source, name string, n int, s *Scratch, i int) error {
	t, ok := src.Lookup(name)
	if !ok {
		dst.Bias = dst.Bias[:0]
		return nil
	}
	d, err := FloatTensor(t, n)
	if err != nil {
		return err
	}
	b, err := s.Read(i, src, name)
	if err != nil {
		return err
	}
	dst.ResizeBias(n)
	dtype.Decode(d, dst.Bias, b)
	for j, v := range dst.Bias {
		if v-v != 0 {
			return quant.Errorf(quant.ErrFormat, name, fmt.Sprintf("element %d", j), "a finite number", "%v", v)
		}
	}
	return nil
}

// FloatTensor returns the element type of t, or an error where t is not a
// float32, float16 or bfloat16 tensor of the given shape.
func FloatTensor(t safetensors.Tensor, shape ...int) (dtype.DType, error) {
	d, ok := t.Type.DType()
	if !ok {
		return dtype.Invalid, quant.Errorf(quant.ErrFormat, t.Name, "type", "F32, F16 or BF16", "%s", t.Type)
	}
	return d, CheckShape(t, shape...)
}

// CheckShape returns an error where t does not have the given shape.
func CheckShape(t safetensors.Tensor, shape ...int) error {
	ok := len(t.Shape) == len(shape)
	for i := range t.Shape {
		ok = ok && t.Shape[i] == int64(shape[i])
	}
	if !ok {
		return quant.Errorf(quant.ErrFormat, t.Name, "shape", fmt.Sprint(shape), "%v", t.Shape)
	}
	return nil
}
