package driver

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

func TestProductCheck(t *testing.T) {
	right := Product{Type: dtype.BF16, Y: dtype.F32, N: 3, K: 16, XStride: 24, WStride: 16, YStride: 8, Alpha: 2, MaxRows: 5}
	require.NoError(t, right.Check())
	require.Equal(t, "bfloat16, N 3, K 16, up to 5 rows, y float32", right.String())
	for want, c := range map[string]struct {
		class  error
		change func(*Product)
	}{
		"product: x and w is float32, want float16 or bfloat16":        {backend.ErrDType, func(p *Product) { p.Type = dtype.F32 }},
		"product: y is float16, want bfloat16 or float32":              {backend.ErrDType, func(p *Product) { p.Y = dtype.F16 }},
		"product: size is 5 rows, N 0, K 16, want at least 1":          {backend.ErrShape, func(p *Product) { p.N = 0 }},
		"product: size is 5 rows, N 3, K 0, want at least 1":           {backend.ErrShape, func(p *Product) { p.K = 0 }},
		"product: size is 0 rows, N 3, K 16, want at least 1":          {backend.ErrShape, func(p *Product) { p.MaxRows = 0 }},
		"product: K is 12, want a multiple of 8":                       {backend.ErrUnsupported, func(p *Product) { p.K = 12 }},
		"product: alpha is 0, want finite and not 0":                   {backend.ErrUnsupported, func(p *Product) { p.Alpha = 0 }},
		"product: alpha is NaN, want finite and not 0":                 {backend.ErrUnsupported, func(p *Product) { p.Alpha = float32(math.NaN()) }},
		"product: stride of x is 8, want at least 16":                  {backend.ErrShape, func(p *Product) { p.XStride = 8 }},
		"product: stride of w is 20, want a multiple of 8":             {backend.ErrUnsupported, func(p *Product) { p.WStride = 20 }},
		"product: stride of y is 2, want at least 3":                   {backend.ErrShape, func(p *Product) { p.YStride = 2 }},
		"product: x is 2147483647 rows of 8192, want at most 2^40 ele": {backend.ErrUnsupported, func(p *Product) { p.MaxRows, p.XStride = math.MaxInt32, 8192 }},
	} {
		p := right
		c.change(&p)
		err := p.Check()
		require.ErrorIs(t, err, c.class, want)
		require.ErrorContains(t, err, want)
	}
}

func TestLibraryErrorClasses(t *testing.T) {
	for status, class := range map[int]error{1: backend.ErrUnsupported, 3: backend.ErrOutOfMemory, 7: nil, 8: backend.ErrUnsupported, 13: nil, 14: nil, 15: backend.ErrUnsupported} {
		e := &LibraryError{What: "cublasLtX", Status: status, Name: "CUBLAS_STATUS_Y"}
		require.Equal(t, class, e.Unwrap(), status)
	}
	require.EqualError(t, &LibraryError{What: "cublasLtX", Status: 7, Name: "CUBLAS_STATUS_INVALID_VALUE"}, "cublasLtX: CUBLAS_STATUS_INVALID_VALUE (7)")
}
