package checkpoint_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

const bundled = "../testdata"

// expected is the expected.safetensors of a checkpoint; testdata/gen says what
// is in it.
type expected struct {
	t *testing.T
	*safetensors.File
}

func openExpected(t *testing.T, dir string) *expected {
	f, err := safetensors.Open(filepath.Join(dir, "expected.safetensors"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return &expected{t, f}
}

func (e *expected) has(name string) bool { _, ok := e.Lookup(name); return ok }

func (e *expected) bytes(name string) []byte {
	b, err := e.Read(nil, name)
	require.NoError(e.t, err)
	return b
}

func (e *expected) floats(name string) ([]float32, dtype.DType) {
	info, ok := e.Lookup(name)
	require.True(e.t, ok, name)
	d, ok := info.Type.DType()
	require.True(e.t, ok, "%s is %s", name, info.Type)
	b := e.bytes(name)
	v := make([]float32, len(b)/d.Size())
	dtype.Decode(d, v, b)
	return v, d
}

func (e *expected) float64s(name string) []float64 {
	b := e.bytes(name)
	v := make([]float64, len(b)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return v
}

func (e *expected) ints(name string) []int32 {
	b := e.bytes(name)
	v := make([]int32, len(b)/4)
	for i := range v {
		v[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

func (e *expected) int8s(name string) []int8 {
	b := e.bytes(name)
	v := make([]int8, len(b))
	for i := range v {
		v[i] = int8(b[i])
	}
	return v
}

// layers are the names under which inputs stand, sorted.
func (e *expected) layers() []string {
	var names []string
	for _, n := range e.Names() {
		if layer, ok := strings.CutSuffix(n, ".x"); ok {
			names = append(names, layer)
		}
	}
	return names
}

// weights compares codes, groups, zeros, scales and bias, bit for bit.
func (e *expected) weights(as string, l *quant.Linear) {
	t, w := e.t, &l.Weight
	n, k := w.N(), w.K()
	codes := make([]uint8, n*k)
	for i := range n {
		w.UnpackRow(codes[i*k:(i+1)*k], i)
	}
	if e.has(as + ".codes") {
		require.Equal(t, e.bytes(as+".codes"), codes, "%s: codes", as)
	}
	sum := sha256.Sum256(codes)
	require.Equal(t, e.bytes(as+".codes.sha256"), sum[:], "%s: hash of the codes [%d, %d]", as, n, k)

	// A reader may number groups anew as long as every feature has its scale
	// and zero: compare through the features.
	groups := e.ints(as + ".groups")
	require.Len(t, groups, k)
	zeros := e.ints(as + ".zeros")
	scales, _ := e.floats(as + ".scales")
	count := len(scales) / n
	for row := range n {
		for f, g := range groups {
			at := row*count + int(g)
			zero := zeros[0]
			if len(zeros) > 1 {
				zero = zeros[at]
			}
			own := w.Groups().Of(f)
			if int(zero) != w.Zero(row, own) || math.Float32bits(scales[at]) != math.Float32bits(w.Scale(row, own)) {
				t.Fatalf("%s: row %d, feature %d: zero %d and scale %v, want %d and %v", as, row, f, w.Zero(row, own), w.Scale(row, own), zero, scales[at])
			}
		}
	}
	require.Equal(t, e.has(as+".bias"), l.HasBias(), "%s: bias", as)
	if l.HasBias() {
		bias, _ := e.floats(as + ".bias")
		require.Equal(t, bias, l.Bias, "%s: bias", as)
	}
}

// outputs compares activation codes and scales bit for bit, by the reference
// and by the quantizers that kernels use, and y up to the order of float64 sums.
func (e *expected) outputs(l *quant.Linear) int {
	t := e.t
	x, xt := e.floats(l.Name + ".x")
	k := l.Weight.K()
	m, seen := len(x)/k, 0
	for _, name := range e.Names() {
		kind, ok := strings.CutPrefix(name, l.Name+".y.")
		if !ok {
			continue
		}
		seen++
		recipe, err := quant.ParseRecipe(kind)
		require.NoError(t, err)
		res, err := reference.Run(l, recipe, xt, x, m)
		require.NoError(t, err, name)
		if recipe.Kind != quant.Exact {
			e.activations(l, recipe, xt, x, res)
		}
		y := e.float64s(name)
		require.Len(t, res.Y, len(y), name)
		for row := range m {
			want, got := y[row*len(y)/m:(row+1)*len(y)/m], res.Y[row*len(y)/m:]
			most := 0.0
			for _, v := range want {
				most = max(most, math.Abs(v))
			}
			for col, v := range want {
				require.InDelta(t, v, got[col], 1e-12*most, "%s [%d, %d]", name, row, col)
			}
		}
	}
	return seen
}

func (e *expected) activations(l *quant.Linear, recipe quant.Recipe, xt dtype.DType, x []float32, res *reference.Result) {
	t, kind := e.t, recipe.Kind.String()
	codes := e.int8s(l.Name + ".x.codes." + kind)
	scales, _ := e.floats(l.Name + ".x.scales." + kind)
	zeros := e.ints(l.Name + ".x.zeros." + kind)
	require.Equal(t, codes, res.Codes, "%s: reference codes of %s", l.Name, kind)
	require.Equal(t, scales, res.Scales, "%s: reference scales of %s", l.Name, kind)
	require.Equal(t, zeros, res.Zeros, "%s: reference zeros of %s", l.Name, kind)

	act := recipe.ActGroups(l.Weight.Groups())
	k := l.Weight.K()
	rowCodes, rowScales := make([]int8, k), make([]float32, act.Count())
	row, tmp := make([]float32, k), make([]float32, k)
	for m := range zeros {
		zero := recipe.QuantizeRow(xt, &act, rowCodes, rowScales, x[m*k:(m+1)*k])
		if recipe.Kind == quant.Int4FlatQuant {
			l.Transform.Apply(xt, row, x[m*k:(m+1)*k], tmp)
			rowScales[0] = l.Transform.QuantizeRow(rowCodes, row)
		}
		require.Equal(t, codes[m*k:(m+1)*k], rowCodes, "%s: codes of row %d by %s", l.Name, m, kind)
		require.Equal(t, scales[m*act.Count():(m+1)*act.Count()], rowScales, "%s: scales of row %d by %s", l.Name, m, kind)
		require.Equal(t, zeros[m], zero, "%s: zero of row %d by %s", l.Name, m, kind)
	}
}

// bundledDirs are the sound checkpoints of testdata.
func bundledDirs(t *testing.T) []string {
	paths, err := filepath.Glob(filepath.Join(bundled, "*", "expected.safetensors"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 10)
	for i, p := range paths {
		paths[i] = filepath.Dir(p)
	}
	return paths
}

func openModel(t *testing.T, dir string, o checkpoint.Options) *checkpoint.Model {
	m, err := checkpoint.Open(context.Background(), dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestBundled(t *testing.T) {
	for _, dir := range bundledDirs(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			e := openExpected(t, dir)
			m := openModel(t, dir, checkpoint.Options{})
			require.Empty(t, m.Refused())
			require.Empty(t, m.Warnings())
			_, xt := e.floats(e.layers()[0] + ".x")
			require.Equal(t, xt, m.DType())

			var names []string
			var l quant.Linear // reused from layer to layer
			for _, mod := range m.Modules() {
				names = append(names, mod.Name)
				findings, err := m.Load(context.Background(), &l, mod.Name)
				require.NoError(t, err)
				require.NoError(t, l.Check())
				checkModule(t, mod, &l)
				if strings.Contains(dir, "mislabelled") {
					require.NotEmpty(t, findings, mod.Name)
					require.Contains(t, fmt.Sprint(findings), "zero")
				} else {
					require.Empty(t, findings, mod.Name)
				}
				if plain, ok := l.Weight.Plain(); ok {
					checkPlain(t, m, &l, plain)
				} else {
					e.weights(mod.Name, &l)
				}
				require.Positive(t, e.outputs(&l), mod.Name)
			}
			slices.Sort(names)
			require.Equal(t, e.layers(), names, "every layer is a module, and nothing else is")
		})
	}
}

// checkModule holds what a module says of itself against what it loads to.
func checkModule(t *testing.T, mod module.Module, l *quant.Linear) {
	require.Equal(t, mod.Name, l.Name)
	require.Equal(t, []int{mod.N, mod.K, mod.Bits}, []int{l.Weight.N(), l.Weight.K(), l.Weight.Bits()}, mod.Name)
	require.Equal(t, mod.Bias, l.HasBias(), mod.Name)
	require.Equal(t, mod.Recipe, l.Recipe, mod.Name)
	plain, isPlain := l.Weight.Plain()
	require.Equal(t, mod.Plain, plain, mod.Name)
	require.Equal(t, !isPlain, mod.Quantized, mod.Name)
	require.Positive(t, mod.Bytes)
	if !isPlain {
		require.Equal(t, mod.Scales, l.Weight.ScaleType(), mod.Name)
		if l.Weight.Groups().Kind() == quant.ActOrder {
			require.True(t, mod.ActOrder, mod.Name)
		}
	}
}

// checkPlain compares a plain layer with its tensor's bytes.
func checkPlain(t *testing.T, m *checkpoint.Model, l *quant.Linear, plain dtype.DType) {
	b, err := m.ReadTensor(nil, l.Name+".weight")
	require.NoError(t, err)
	size := l.Weight.K() * plain.Size()
	for n := range l.Weight.N() {
		require.Equal(t, b[n*size:(n+1)*size], l.Weight.Row(n)[:size], "%s row %d", l.Name, n)
	}
}

// The recipes that the configurations ask for.
func TestBundledRecipes(t *testing.T) {
	for dir, want := range map[string]quant.RecipeKind{
		"gptq-w4-g128": quant.Exact, "ctensors-w4a16-asym": quant.Exact, "dense-bf16": quant.Exact,
		"awq-gemm-g128": quant.Exact, "auto-round-gptq": quant.Exact,
		"ctensors-w4a8": quant.Int8Token, "ctensors-w8a8": quant.Int8Token,
		"modelslim-w8a16": quant.Exact, "modelslim-w8a8-dynamic": quant.Int8TokenAscend, "modelslim-w4a4-dynamic": quant.Int4TokenAscend,
	} {
		for _, mod := range openModel(t, filepath.Join(bundled, dir), checkpoint.Options{}).Modules() {
			if mod.Quantized {
				require.Equal(t, want, mod.Recipe.Kind, "%s %s", dir, mod.Name)
			}
		}
	}
}

// Layers that stand for several have the rows of their parts, in every
// checkpoint and format.
func TestBundledFused(t *testing.T) {
	ctx, seen := context.Background(), map[string]int{}
	for _, dir := range bundledDirs(t) {
		m := openModel(t, dir, checkpoint.Options{})
		for _, f := range m.Fused() {
			var whole, part quant.Linear
			if f.Problem != "" {
				_, err := m.Load(ctx, &whole, f.Name)
				require.Error(t, err, "%s: %s", dir, f.Problem)
				continue
			}
			_, err := m.Load(ctx, &whole, f.Name)
			require.NoError(t, err, dir)
			require.NoError(t, whole.Check())
			seen[m.Format()]++
			for _, p := range f.Parts {
				got, err := whole.Select(quant.AxisN, p.Rows)
				require.NoError(t, err)
				if f.Stored {
					continue
				}
				_, err = m.Load(ctx, &part, p.Name)
				require.NoError(t, err)
				require.Equal(t, part.Recipe, got.Recipe)
				require.True(t, part.Transform.Equal(got.Transform))
				for n := range part.Weight.N() {
					require.Equal(t, part.Weight.Row(n), got.Weight.Row(n), "%s %s row %d", dir, p.Name, n)
				}
			}
		}
	}
	require.Equal(t, 2+1+1+4, seen["modelslim"], "W4A4 with transforms, W8A8, plain, the w13 of four experts")
	require.Equal(t, 1+4+4, seen["compressed-tensors"], "plain, gate_up_proj and w13 of four experts")
}

// Weights quantized on load, in each setting that the generator wrote down.
func TestBundledDenseSettings(t *testing.T) {
	dir := filepath.Join(bundled, "dense-bf16")
	e := openExpected(t, dir)
	for _, s := range []quant.RTN{{Bits: 4, Group: -1}, {Bits: 8, Group: 128}, {Bits: 8, Group: 32}, {Bits: 8, Group: -1}} {
		m := openModel(t, dir, checkpoint.Options{Dense: checkpoint.DenseOptions{RTN: s}})
		var l quant.Linear
		quantized := 0
		for _, mod := range m.Modules() {
			if !mod.Quantized {
				continue
			}
			quantized++
			_, err := m.Load(context.Background(), &l, mod.Name)
			require.NoError(t, err)
			e.weights(fmt.Sprintf("%s.w%dg%d", mod.Name, s.Bits, s.Group), &l)
		}
		require.Equal(t, 3, quantized)
	}
}

// What is not a linear layer is skipped with a reason, and still readable.
func TestBundledDenseSkips(t *testing.T) {
	m := openModel(t, filepath.Join(bundled, "dense-bf16"), checkpoint.Options{})
	skipped := map[string]string{}
	for _, s := range m.Skipped() {
		skipped[strings.TrimSuffix(s.Name, ".weight")] = s.Why
	}
	require.NotEmpty(t, skipped["model.embed_tokens"])
	for _, mod := range m.Modules() {
		require.NotContains(t, skipped, mod.Name)
	}
	b, err := m.ReadTensor(nil, "model.embed_tokens.weight")
	require.NoError(t, err)
	require.Len(t, b, 16*256*2)
}

// damagedErrors opens a checkpoint, whole or in part, and loads all of it, and returns every
// error and every refusal.
func damagedErrors(dir string, partial bool) []error {
	ctx := context.Background()
	m, err := checkpoint.Open(ctx, dir, checkpoint.Options{Partial: partial})
	if err != nil {
		return []error{err}
	}
	defer m.Close()
	var all []error
	for _, r := range m.Refused() {
		all = append(all, quant.Errorf(quant.ErrUnsupported, r.Name, "", "", "%s", r.Why))
	}
	for _, mod := range m.Modules() {
		var l quant.Linear
		if _, err := m.Load(ctx, &l, mod.Name); err != nil {
			all = append(all, err)
		}
	}
	return all
}

func TestDamaged(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(bundled, "damaged", "*", "want.txt"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(cases), 100)
	for _, path := range cases {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, partial := range []bool{false, true} {
				got := damagedErrors(dir, partial)
				require.Len(t, got, 1, "one damage, one error")
				classed := errors.Is(got[0], quant.ErrFormat) || errors.Is(got[0], quant.ErrUnsupported) || errors.Is(got[0], fs.ErrNotExist)
				require.True(t, classed, "%v", got[0])
				for _, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
					require.ErrorContains(t, got[0], line)
				}
			}
		})
	}
}
