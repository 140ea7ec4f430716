package backend_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// linear is an [4, 12] layer of 4-bit codes whose scales are all one.
func linear(t *testing.T, g quant.Groups, zeros bool) *quant.Linear {
	t.Helper()
	l := &quant.Linear{Name: "o_proj"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: 4, K: 12, Bits: 4, Scales: dtype.F16, Zeros: zeros, Groups: g}))
	for n := range 4 {
		for i := range g.Count() {
			l.Weight.SetScale(n, i, 1)
		}
	}
	return l
}

func uniform(t *testing.T, size int) quant.Groups {
	t.Helper()
	g, err := quant.UniformGroups(12, size)
	require.NoError(t, err)
	return g
}

func plain(t *testing.T) *quant.Linear {
	t.Helper()
	l := &quant.Linear{Name: "lm_head"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: 4, K: 12, Plain: dtype.BF16}))
	return l
}

func TestNewSpec(t *testing.T) {
	l := linear(t, uniform(t, 5), true)
	l.Weight.ZeroRow(2)[1], l.Weight.ZeroRow(3)[2] = -3, 16
	l.Weight.SetScale(1, 1, -0.5)
	l.ResizeBias(4)
	l.FullN, l.NRanges = 8, []quant.Range{{Start: 4, End: 8}}
	s, err := backend.NewSpec(l, backend.Request{X: dtype.BF16, MaxRows: 7})
	require.NoError(t, err)
	require.Equal(t, backend.Spec{
		N: 4, K: 12, FullN: 8, FullK: 12, NRanges: []quant.Range{{Start: 4, End: 8}},
		Bits: 4, ZeroMin: -3, ZeroMax: 16, Scales: dtype.F16, ScalesFinite: true, ScaleMin: 0.5, ScaleMax: 1,
		Groups: backend.GroupSpec{Kind: quant.Uniform, Size: 5, Count: 3, Shortest: 2, Longest: 5},
		Bias:   true, X: dtype.BF16, Y: dtype.BF16, MaxRows: 7,
	}, s)
	require.False(t, s.KCut())
	require.Equal(t, "w4 g5 asym, exact", s.Scheme())

	l.NRanges[0].Start = 5
	require.Equal(t, 4, s.NRanges[0].Start, "the Spec shares memory with the layer")
}

func TestSpecOfOtherLayers(t *testing.T) {
	l := linear(t, quant.OneGroup(12), false)
	l.FullK, l.KRanges = 24, []quant.Range{{Start: 12, End: 24}}
	r := quant.Recipe{Kind: quant.Int8Group, Group: 4}
	s, err := backend.NewSpec(l, backend.Request{Recipe: &r, X: dtype.F32, Y: dtype.F16})
	require.NoError(t, err)
	require.True(t, s.KCut())
	require.Equal(t, 1, s.MaxRows)
	require.Equal(t, dtype.F16, s.Y)
	require.True(t, s.Symmetric)
	require.Equal(t, 8, s.ZeroMin)
	require.Equal(t, 8, s.ZeroMax)
	require.Equal(t, "w4 channel sym, int8-group/4", s.Scheme())

	index := []int32{1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0}
	g, err := quant.IndexedGroups(index, 3)
	require.NoError(t, err)
	s, err = backend.NewSpec(linear(t, g, true), backend.Request{X: dtype.F32})
	require.NoError(t, err)
	require.Equal(t, backend.GroupSpec{Kind: quant.ActOrder, Count: 3, Longest: 6}, s.Groups)
	require.Equal(t, "w4 act-order asym, exact", s.Scheme())
	require.Equal(t, 6, s.Groups.Bound(1, s.K))
	require.Equal(t, 12, s.Groups.Bound(3, s.K))

	index[1] = 1
	g, err = quant.IndexedGroups(index, 3)
	require.NoError(t, err)
	s, err = backend.NewSpec(linear(t, g, true), backend.Request{X: dtype.F32})
	require.NoError(t, err)
	require.Equal(t, []int32{0, 5, 12, 12}, s.Groups.Bounds, "groups of 5, 7 and 0 features")
	require.Equal(t, 5, s.Groups.Bound(1, s.K))

	s, err = backend.NewSpec(plain(t), backend.Request{X: dtype.F32})
	require.NoError(t, err)
	require.Equal(t, "bfloat16, exact", s.Scheme())

	l = linear(t, uniform(t, 4), false)
	l.Recipe = quant.Recipe{Kind: quant.Int4FlatQuant}
	identity := func(n int) []float32 {
		p := make([]float32, n*n)
		for i := range n {
			p[i*n+i] = 1
		}
		return p
	}
	l.Transform = &quant.Transform{L: 3, R: 4, P1: identity(3), P2: identity(4), Type: dtype.F16, Clip: 1}
	s, err = backend.NewSpec(l, backend.Request{X: dtype.F16})
	require.NoError(t, err)
	require.Equal(t, &backend.TransformSpec{L: 3, R: 4, Type: dtype.F16, Clip: 1}, s.Transform)
	exact := quant.Recipe{}
	_, err = backend.NewSpec(l, backend.Request{Recipe: &exact, X: dtype.F16})
	require.ErrorIs(t, err, backend.ErrUnsupported)
	require.ErrorContains(t, err, "recipe is exact, want int4-flatquant, which the layer's transform is for (")
	l = linear(t, uniform(t, 4), false)
	_, err = backend.NewSpec(l, backend.Request{Recipe: &quant.Recipe{Kind: quant.Int4FlatQuant}, X: dtype.F16})
	require.ErrorContains(t, err, "recipe is int4-flatquant, want another recipe: the layer has no transform (")
}

func TestNewSpecRefuses(t *testing.T) {
	int8, unknown := quant.Recipe{Kind: quant.Int8Token}, quant.Recipe{Kind: 99}
	flat, grouped := quant.Recipe{Kind: quant.Int4FlatQuant}, quant.Recipe{Kind: quant.Int8Token, Group: 5}
	for _, c := range []struct {
		name  string
		l     *quant.Linear
		r     backend.Request
		class error
	}{
		{"nothing", &quant.Linear{}, backend.Request{X: dtype.F32}, backend.ErrShape},
		{"no x type", plain(t), backend.Request{}, backend.ErrDType},
		{"unknown y type", plain(t), backend.Request{X: dtype.F32, Y: dtype.DType(9)}, backend.ErrDType},
		{"negative rows", plain(t), backend.Request{X: dtype.F32, MaxRows: -1}, backend.ErrShape},
		{"too many rows", plain(t), backend.Request{X: dtype.F32, MaxRows: 1 << 40}, backend.ErrShape},
		{"int8 on plain", plain(t), backend.Request{X: dtype.F32, Recipe: &int8}, backend.ErrUnsupported},
		{"no transform", linear(t, uniform(t, 4), false), backend.Request{X: dtype.F32, Recipe: &flat}, backend.ErrUnsupported},
		{"unknown recipe", linear(t, uniform(t, 4), false), backend.Request{X: dtype.F32, Recipe: &unknown}, backend.ErrUnsupported},
		{"groups of a row", linear(t, uniform(t, 4), false), backend.Request{X: dtype.F32, Recipe: &grouped}, backend.ErrUnsupported},
	} {
		_, err := backend.NewSpec(c.l, c.r)
		require.ErrorIs(t, err, c.class, c.name)
		require.ErrorContains(t, err, c.l.Name, c.name)
	}
}

// TestSpecCheck: a Spec is of a layer where NewSpec would make the same.
func TestSpecCheck(t *testing.T) {
	l := linear(t, uniform(t, 4), false)
	s, err := backend.NewSpec(l, backend.Request{X: dtype.F16, MaxRows: 8})
	require.NoError(t, err)
	require.NoError(t, s.Check(l))
	err = s.Check(linear(t, uniform(t, 2), false))
	require.ErrorIs(t, err, backend.ErrShape)
	require.ErrorContains(t, err, "o_proj: spec is [4,12] w4 g4 sym, exact, want one of this layer: [4,12] w4 g2 sym, exact")
	require.ErrorIs(t, s.Check(plain(t)), backend.ErrShape)
	require.Error(t, s.Check(nil))
	s.X = dtype.Invalid
	require.ErrorIs(t, s.Check(l), backend.ErrDType)
}

// TestImpossibleTransform: one has as many features as the layer.
func TestImpossibleTransform(t *testing.T) {
	for _, c := range []struct {
		l, r int
		has  string
	}{{3, 4, ""}, {12, 1, ""}, {12, 12, "12 x 12"}, {3, 5, "3 x 5"}, {0, 12, "0 x 12"}} {
		s := backend.Spec{N: 1, K: 12, MaxRows: 1, Plain: dtype.F32, Transform: &backend.TransformSpec{L: c.l, R: c.r}}
		_, has := s.Impossible()
		require.Equal(t, c.has, has, "%+v", c)
	}
}

// TestSpecEqual changes every field in turn.
func TestSpecEqual(t *testing.T) {
	full := backend.Spec{NRanges: []quant.Range{{Start: 0, End: 1}}, KRanges: []quant.Range{{Start: 0, End: 1}}, Transform: &backend.TransformSpec{L: 1}}
	same := full
	same.Transform = &backend.TransformSpec{L: 1}
	require.True(t, full.Equal(&same))
	fields := reflect.TypeFor[backend.Spec]()
	for i := range fields.NumField() {
		changed := full
		f := reflect.ValueOf(&changed).Elem().Field(i)
		switch f.Kind() {
		case reflect.Int:
			f.SetInt(7)
		case reflect.Uint8:
			f.SetUint(2)
		case reflect.Float32:
			f.SetFloat(7)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice, reflect.Pointer:
			f.SetZero()
		case reflect.Struct:
			switch last := f.Field(f.NumField() - 1); last.Kind() {
			case reflect.Int:
				last.SetInt(7)
			default:
				last.Set(reflect.ValueOf([]int32{0, 7}))
			}
		default:
			t.Fatalf("a field of kind %v", f.Kind())
		}
		require.False(t, full.Equal(&changed), fields.Field(i).Name)
		require.False(t, changed.Equal(&full), fields.Field(i).Name)
	}
	other := full
	other.Transform = &backend.TransformSpec{L: 2}
	require.False(t, full.Equal(&other))
}
