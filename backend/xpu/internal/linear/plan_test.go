package linear

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// named returns a kernel of the table.
func named(t testing.TB, name string) *kernel {
	for _, k := range Kernels(&Config{}) {
		if k.Name() == name {
			return k.(*kernel)
		}
	}
	require.Fail(t, "no such kernel", name)
	return nil
}

// small returns a layer of which every number can be told from the others.
func small(t testing.TB, n, k, bits, group int, zeros bool) *quant.Linear {
	groups, err := quant.UniformGroups(k, group)
	require.NoError(t, err)
	l := &quant.Linear{Name: "small"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F16, Zeros: zeros, Groups: groups}))
	codes := make([]uint8, k)
	for i := range n {
		for j := range codes {
			codes[j] = uint8((i + 3*j) % (1 << bits))
		}
		l.Weight.PackRow(i, codes)
		for g := range groups.Count() {
			l.Weight.SetScale(i, g, float32(1+i+10*g)/64)
			if zeros {
				l.Weight.ZeroRow(i)[g] = int16((i + 5*g) % (1 << bits))
			}
		}
	}
	return l
}

func specOf(t testing.TB, l *quant.Linear, recipe quant.RecipeKind, rows int) backend.Spec {
	s, err := backend.NewSpec(l, backend.Request{Recipe: &quant.Recipe{Kind: recipe}, X: dtype.F16, Y: dtype.F32, MaxRows: rows})
	require.NoError(t, err)
	return s
}

// packed returns all parts of a layer as they go to the device.
func packed(t testing.TB, p *plan, l *quant.Linear, s *backend.Spec) []byte {
	b := &packer{plan: p, src: &l.Weight, spec: s}
	all := make([]byte, p.at.total)
	require.NoError(t, b.pack(context.Background(), all[:p.n*p.rowBytes()], 0))
	require.NoError(t, b.tables(context.Background(), all[p.at.scales:], l.Bias))
	return all
}

// TestPackedBytes holds every byte to the layout of doc.go.
func TestPackedBytes(t *testing.T) {
	for bits := 2; bits <= 8; bits++ {
		name := "xpu_w4g_a8_onednn"
		if bits > 4 {
			name = "xpu_w8_a8_onednn"
		}
		for _, k := range []int{32, 37, 48, 61, 64} {
			const n, group = 3, 16
			kern := named(t, name)
			l := small(t, n, k, bits, group, true)
			l.ResizeBias(n)
			copy(l.Bias, []float32{1, -2, 0.5})
			s := specOf(t, l, quant.Int8TokenXPU, 5)
			require.Nil(t, kern.Supports(backend.DeviceInfo{Family: "xpu"}, s))
			p := kern.plan(&s, true)
			require.Equal(t, (k+group-1)/group*group, p.kp)
			all := packed(t, p, l, &s)
			middle := 0
			if bits > 4 {
				middle = 1 << (bits - 1)
			}
			for i := range n {
				for j := range p.kp {
					g := j / group
					want := l.Weight.Zero(i, g)
					if j < k {
						want = l.Weight.Code(i, j)
					}
					got := 0
					if bits <= 4 {
						got = int(all[(i*p.kp+j)/2]>>(4*(j%2))) & 15
					} else {
						got = int(int8(all[i*p.kp+j])) + middle
					}
					require.Equal(t, want, got, "%s, K %d: code of output %d, feature %d", name, k, i, j)
				}
				for g := range p.groups {
					var scale, bias [1]float32
					dtype.Decode(dtype.F16, scale[:], all[p.at.scales+int64(2*(g*n+i)):])
					require.Equal(t, l.Weight.Scale(i, g), scale[0])
					require.Equal(t, l.Weight.Zero(i, g)-middle, int(int8(all[p.at.zeros+int64(g*n+i)])))
					dtype.Decode(dtype.F32, bias[:], all[p.at.bias+int64(4*i):])
					require.Equal(t, l.Bias[i], bias[0])
				}
			}
			w := p.weights(1 << 20)
			require.Equal(t, driver.Weights{Codes: 1 << 20, Scales: driver.Ptr(1<<20 + p.at.scales), Zeros: driver.Ptr(1<<20 + p.at.zeros), Bias: driver.Ptr(1<<20 + p.at.bias)}, w)
			for _, at := range []int64{p.at.scales, p.at.zeros, p.at.bias, p.at.total} {
				require.Zero(t, at%partAlign)
			}
		}
	}
}

// TestPlans: what oneDNN is asked for.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		kernel string
		layer  *quant.Linear
		recipe quant.RecipeKind
		want   driver.Plan
	}{
		{"xpu_w4g_a8_onednn", small(t, 7, 256, 4, 128, false), quant.Int8TokenXPU, driver.Plan{
			Activations: driver.TokenXPU, X: driver.F16, Y: driver.F32, XCols: 256, YCols: 7, K: 256, N: 7, Group: 128, Weight: driver.U4, Stride: 256,
			Scale: driver.F16, ZeroKind: driver.ScalarZero, ZeroType: driver.S8, Zero: 8, MaxRows: 9, Codes: true, RefuseReference: true}},
		{"xpu_w4g_a8_onednn", small(t, 7, 256, 4, 128, false), quant.Int8Token, driver.Plan{
			Activations: driver.Token, X: driver.F16, Y: driver.F32, XCols: 256, YCols: 7, K: 256, N: 7, Group: 128, Weight: driver.U4, Stride: 256,
			Scale: driver.F16, ZeroKind: driver.ScalarZero, ZeroType: driver.S8, Zero: 8, MaxRows: 9, Codes: true, RefuseReference: true}},
		{"xpu_w4g_a16_onednn", small(t, 7, 200, 4, 64, true), quant.Exact, driver.Plan{
			Activations: driver.Exact, X: driver.F16, Y: driver.F32, Compute: driver.F32, XCols: 200, YCols: 7, K: 256, N: 7, Group: 64, Slice: 32, Weight: driver.U4, Stride: 256,
			Scale: driver.F16, ZeroKind: driver.GroupedZeros, ZeroType: driver.S8, MaxRows: 9, RefuseReference: true}},
		{"xpu_w8_a8_onednn", small(t, 7, 100, 8, -1, false), quant.Int8TokenXPU, driver.Plan{
			Activations: driver.TokenXPU, X: driver.F16, Y: driver.F32, XCols: 100, YCols: 7, K: 128, N: 7, Group: 128, Weight: driver.S8, Stride: 128,
			Scale: driver.F16, MaxRows: 9, Codes: true, RefuseReference: true}},
		{"xpu_w8_a16_onednn", small(t, 7, 64, 6, -1, false), quant.Exact, driver.Plan{
			Activations: driver.Exact, X: driver.F16, Y: driver.F32, Compute: driver.F32, XCols: 64, YCols: 7, K: 64, N: 7, Group: 64, Slice: 32, Weight: driver.S8, Stride: 64,
			Scale: driver.F16, MaxRows: 9, RefuseReference: true}},
	} {
		s := specOf(t, c.layer, c.recipe, 9)
		k := named(t, c.kernel)
		require.Nil(t, k.Supports(backend.DeviceInfo{Family: "xpu"}, s), c.kernel)
		require.Equal(t, c.want, k.plan(&s, false).driver, c.kernel)
		require.False(t, k.plan(&s, true).driver.RefuseReference)
	}
}

// TestSlices: whole groups, or a part of one; sums short enough for the suite.
func TestSlices(t *testing.T) {
	for k := 1; k <= 9000; k += 1 + k/40 {
		for _, group := range []int{0, 16, 32, 48, 64, 112, 128, 272, 1024} {
			if group >= k {
				continue
			}
			kp := up(k, channelAlign)
			if group > 0 {
				kp = up(k, group)
			} else {
				group = kp
			}
			l := sliceOf(k, kp, group)
			require.True(t, l > 0 && l <= kp && (group%l == 0 || l%group == 0) && l%leastGroup == 0, "K %d, groups of %d: slices of %d", k, group, l)
			require.LessOrEqual(t, exactRoundings(kp, l), mostRoundings(k), "K %d, groups of %d: slices of %d", k, group, l)
		}
	}
	require.Equal(t, 512, sliceOf(4096, 4096, 128))
	require.Equal(t, 1280, sliceOf(11008, 11008, 128)) // few slices, whose memory is aligned
}

// TestRefusals: every reason, and no other.
func TestRefusals(t *testing.T) {
	xpu := backend.DeviceInfo{Family: "xpu"}
	base := specOf(t, small(t, 8, 256, 4, 128, false), quant.Int8TokenXPU, 4)
	for _, c := range []struct {
		kernel string
		change func(*backend.Spec)
		fields []string
	}{
		{"xpu_w4g_a8_onednn", func(*backend.Spec) {}, nil},
		{"xpu_w8_a8_onednn", func(*backend.Spec) {}, []string{"bits"}},
		{"xpu_w4g_a16_onednn", func(*backend.Spec) {}, []string{"activations"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Recipe.Kind = quant.Exact }, []string{"activations"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Recipe.Kind = quant.Int8Token }, nil},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Recipe.Kind = quant.Int8TokenAsym }, []string{"activations"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Recipe.Kind = quant.Int8Group }, []string{"activations"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Groups.Kind = quant.ActOrder }, []string{"groups"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Groups.Kind = quant.Ragged; s.ScalesFinite = false }, []string{"scales", "groups"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) {
			s.Groups = backend.GroupSpec{Kind: quant.Uniform, Size: 40, Count: 7, Shortest: 16, Longest: 40}
		}, []string{"group size"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.ZeroMin, s.ZeroMax = -129, 128 }, []string{"zero points"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.ZeroMin, s.ZeroMax = 0, 16 }, nil},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.ZeroMin, s.ZeroMax, s.K, s.Groups.Shortest = 0, 16, 250, 122 }, []string{"zero points"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.Plain = dtype.F16 }, []string{"weights"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.MaxRows = 1 << 29 }, []string{"MaxRows"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) { s.K = 0 }, []string{"K"}},
		{"xpu_w4g_a8_onednn", func(s *backend.Spec) {
			s.K = 1 << 24
			s.Groups = backend.GroupSpec{Kind: quant.PerChannel, Size: s.K, Count: 1, Shortest: s.K, Longest: s.K}
		}, []string{"longest group"}},
	} {
		s := base
		c.change(&s)
		r := named(t, c.kernel).Supports(xpu, s)
		var fields []string
		if r != nil {
			for _, reason := range r.Reasons {
				fields = append(fields, reason.Field)
			}
		}
		require.Equal(t, c.fields, fields, "%s: %v", c.kernel, r.Err())
	}
	r := named(t, "xpu_w4g_a8_onednn").Supports(backend.DeviceInfo{Family: "cuda"}, base)
	require.Equal(t, "device", r.Reasons[0].Field)
}

// TestPlainWeightsHaveNoGroups: whatever a Spec that NewSpec did not make says of them.
func TestPlainWeightsHaveNoGroups(t *testing.T) {
	k := named(t, "xpu_wx_a16_onednn")
	l := &quant.Linear{Name: "plain"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: 3, K: 64, Plain: dtype.F32}))
	s := specOf(t, l, quant.Exact, 2)
	want := k.plan(&s, true)
	for _, groups := range []backend.GroupSpec{{Kind: quant.Uniform}, {Kind: quant.Uniform, Size: -5}, {Kind: quant.Uniform, Size: 48, Count: 2}} {
		s.Groups = groups
		require.Nil(t, k.Supports(backend.DeviceInfo{Family: "xpu"}, s))
		require.Equal(t, want, k.plan(&s, true), "%+v", groups)
	}
}

// TestSlackOfGPUs: a GPU's division may round otherwise, and the bound says so.
func TestSlackOfGPUs(t *testing.T) {
	s := specOf(t, small(t, 8, 256, 4, 128, false), quant.Int8TokenXPU, 4)
	for kind, want := range map[driver.Kind]int{driver.CPU: 0, driver.GPU: 1} {
		b := Backend("x", kind, nil)
		require.Equal(t, want, b.Kernels()[0].Numerics(s).CodeSlack)
		require.Zero(t, b.Kernels()[2].Numerics(s).CodeSlack)
	}
}

// TestFlushedRows: where the scale of a row may be subnormal, oneDNN takes the row for one of
// zeros, and the bound says so.
func TestFlushedRows(t *testing.T) {
	for _, recipe := range []quant.RecipeKind{quant.Int8TokenXPU, quant.Int8Token} {
		for _, x := range []dtype.DType{dtype.F16, dtype.BF16, dtype.F32} {
			s := specOf(t, small(t, 8, 256, 4, 128, false), recipe, 4)
			s.X = x
			want := 0x1p-126
			if recipe == quant.Int8Token && x != dtype.F16 {
				want = 127.5 * 0x1p-126
			}
			got := named(t, "xpu_w4g_a8_onednn").Numerics(s).FlushBelow
			require.True(t, want <= got && got < 2*want, "%v of %v: %v", recipe, x, got)
		}
	}
}
