package module

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestCompareIsNaturalOrder(t *testing.T) {
	want := []string{"a", "a.1", "a.2", "a.02.x", "a.10", "a.b", "b", "layers.2.mlp", "layers.10.mlp", "layers.99999999999999999999", "layers.100000000000000000000"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Compare)
	require.Equal(t, want, got)
	require.NotZero(t, Compare("a.01", "a.1"), "different names never compare equal")
	require.Equal(t, -Compare("a.01", "a.1"), Compare("a.1", "a.01"))
	require.Zero(t, Compare("a.1", "a.1"))
}

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		expr, name string
		want       bool
	}{
		{`model\.layers\.0\.`, "model.layers.0.mlp", true},
		{`layers\.0`, "model.layers.0.mlp", false}, // anchored at the start
		{`.*mlp`, "model.layers.0.mlp.up_proj", true},
		{`a|b`, "b", true},
		{`a|b`, "xb", false}, // also the second alternative is anchored
		{`.*up_proj$`, "m.up_proj.x", false},
		{`.*up_proj\Z`, "m.up_proj", true},
		{`[]x]y`, "]y", true},
		{`[^]x]y`, "zy", true},
		{`[(?!]y`, "?y", true},
		{`\(\?!a`, "(?!a", true},
		{`(?P<layer>\d+)\.q`, "12.q", true},
		{`(?:a)(?i:B)`, "ab", true},
		{`a{,2}b`, "aab", true}, // Go alone would take {,2} as it stands
		{`a{,2}b`, "aaab", false},
		{`a{,}b`, "aaab", true},
		{`a{,b`, "a{,b", true},
		{`[{,2}]b`, ",b", true},
		{`[[:alpha:]]x`, "a]x", true}, // a set of [ : a l p h, then a bracket
		{`[[:alpha:]]x`, "bx", false},
		{`[a[b]c`, "[c", true},
	} {
		re, err := new(Patterns).Compile("f", c.expr)
		require.NoError(t, err, c.expr)
		require.Equal(t, c.want, re.re.MatchString(c.name), "%s on %s", c.expr, c.name)
	}
	re, err := new(Patterns).Compile("f", `model\.layers\.1[0-9]`)
	require.NoError(t, err)
	require.Equal(t, "model.layers.1", re.prefix, "matching relies on the prefix for speed")
	for expr, want := range map[string]string{`^model\.(?:layers)\..*_proj$`: "model.layers.", `(?i)m.*x`: "", `a|ab`: "a", `x*`: "", `(ab)+.*c`: "ab", `(?m)a^b`: "ab", `a\bb`: "a"} {
		re, err := new(Patterns).Compile("f", expr)
		require.NoError(t, err)
		require.Equal(t, want, re.prefix, expr)
	}
}

func TestPatternsThatSearch(t *testing.T) {
	for expr, want := range map[string]bool{`mlp`: true, `^mlp`: false, `^model`: true, `up$`: true, `x|\.up\Z`: true, `mlp\.gate`: false, `.*mlp.*`: true} {
		var p Patterns
		x, err := p.CompileSearch("f", expr)
		require.NoError(t, err)
		got, err := p.match(x, "model.mlp.up")
		require.NoError(t, err)
		require.Equal(t, want, got, expr)
	}
	_, err := new(Patterns).CompileSearch("f", "(?!x)")
	require.ErrorIs(t, err, quant.ErrUnsupported)
}

func TestPatternRefusals(t *testing.T) {
	for expr, want := range map[string]string{
		`.*(?!vision).*`:                  "negative lookahead",
		`(?!lm_head)a|b`:                  "negative lookahead",
		`a|(?!lm_head)b`:                  "negative lookahead",
		`((?!lm_head)b)`:                  "negative lookahead",
		`(?!a(?!b)).*`:                    "negative lookahead",
		`(?!a)+b`:                         "negative lookahead",
		`(?!(a)\1).*`:                     `back reference \1`,
		`(?!a`:                            "negative lookahead",
		`a(?=b)`:                          "lookahead (?=",
		`(?<!a)b`:                         "negative lookbehind",
		`(?<=a)b`:                         "lookbehind (?<=",
		`(a)\1`:                           `back reference \1`,
		`(?P<x>a)(?P=x)`:                  "back reference (?P=",
		`(?>a)`:                           "atomic group",
		`\pL`:                             `\p, which Python does not have`,
		`[\PL]`:                           `\P, which`,
		`\Qa\E`:                           `\Q, which`,
		`\x{10ffff}`:                      `\x, which`,
		`(?i)[A-𞤀]`:                       "beyond ASCII",
		`(a)?(?(1)b|c)`:                   "conditional",
		`a)|(b`:                           "unexpected )",
		`(.{1000}|.{999}){1}`:             "smaller counted repeats",
		`((a{100}){100}){100}`:            "regular expression as Go reads it",
		`*`:                               "missing argument",
		`\`:                               "trailing backslash",
		`x(?!` + strings.Repeat("y", 500): "negative lookahead",
	} {
		_, err := new(Patterns).Compile("quantization_config: dynamic", expr)
		require.ErrorIs(t, err, quant.ErrUnsupported, expr)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "quantization_config: dynamic")
		require.Less(t, len(err.Error()), 500)
	}
}

// TestLookaheadAtTheStart compares with what re.match of Python 3.11 says.
func TestLookaheadAtTheStart(t *testing.T) {
	for _, c := range []struct {
		expr string
		yes  []string
		no   []string
	}{
		{`^(?!.*down_proj).*$`, []string{"a.up_proj", ""}, []string{"a.down_proj", "down_proj.x"}},
		{`(?!lm_head)`, []string{"model", "x.lm_head"}, []string{"lm_head", "lm_head.x"}},
		{`(?=.*mlp)(?!.*experts).*_proj`, []string{"a.mlp.up_proj"}, []string{"a.mlp.experts.0.up_proj", "a.attn.q_proj", "a.mlp.gate"}},
		{`^\A^(?!model\.visual\.)(?:model|lm).*`, []string{"model.layers", "lm_head"}, []string{"model.visual.x", "x"}},
		{`(?i)(?!LM_HEAD).*HEAD`, []string{"x_head"}, []string{"lm_head", "Lm_Head"}},
		{`(?![)|]x).*`, []string{"x", "]x"}, []string{")x", "|x"}},
		{`(?!a\)b).*`, []string{"ab", "a"}, []string{"a)b", "a)bc"}},
		{`(?!a|b)(?:c|d)`, []string{"c", "dx"}, []string{"a", "b", "e"}},
		{`(?!a[^]|x]b).*`, []string{"axb", "a]b", "a|b"}, []string{"ayb"}},
	} {
		var p Patterns
		x, err := p.Compile("f", c.expr)
		require.NoError(t, err, c.expr)
		for _, names := range [][]string{c.yes, c.no} {
			for _, name := range names {
				got, err := p.match(x, name)
				require.NoError(t, err)
				require.Equal(t, slices.Contains(c.yes, name), got, "%s on %q", c.expr, name)
			}
		}
	}
}

// What patterns cost is bounded over all of a configuration: without bounds,
// each of these takes minutes.
func TestPatternsAreBounded(t *testing.T) {
	var p Patterns
	x, err := p.Compile("f", ".*"+strings.Repeat("a?", 20_000)+"b")
	require.NoError(t, err)
	found, err := p.match(x, "ab")
	require.NoError(t, err)
	require.True(t, found)
	_, err = p.match(x, strings.Repeat("a", 500_000))
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "f: patterns for too many modules, want fewer or shorter patterns")
	x, err = p.Compile("f", "model.*x")
	require.NoError(t, err)
	p.work = maxWork
	found, err = p.match(x, "lm_head")
	require.NoError(t, err, "a name that begins otherwise costs nothing")
	require.False(t, found)

	p.size = maxProgram - 100
	_, err = p.Compile("f", strings.Repeat("a?", 20))
	require.NoError(t, err)
	_, err = p.Compile("f", strings.Repeat("a?", 40))
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "in all patterns together")
}

func TestParseObject(t *testing.T) {
	_, err := ParseObject("f", []byte("{\"a\": \"\xff\"}"))
	require.ErrorContains(t, err, "f: bytes that are not UTF-8, want one JSON object")
	o, err := ParseObject("f", []byte("\xef\xbb\xbf{\"z\": 1, \"a\": {\"b\": [1,2]}, \"n\": null, \"i\": Infinity, \"j\":[-Infinity, NaN], \"s\":\"NaN \\\" Infinity\", \"e\":\"x\"} \n"))
	require.NoError(t, err)
	var keys []string
	for _, f := range o.Fields {
		keys = append(keys, f.Key)
	}
	require.Equal(t, []string{"z", "a", "n", "i", "j", "s", "e"}, keys, "the order of the text is kept")
	require.True(t, o.Has("z"))
	require.False(t, o.Has("Z"), "keys are exact")
	require.False(t, o.Has("n"))
	require.False(t, o.Has("i"))
	s, err := o.Text("s")
	require.NoError(t, err)
	require.Equal(t, `NaN " Infinity`, s, "strings are left alone")
	a, err := o.Object("a")
	require.NoError(t, err)
	require.Equal(t, "f: a", a.Name)
	none, err := o.Object("n")
	require.NoError(t, err)
	require.Nil(t, none)

	for text, want := range map[string]string{
		``:                                   "text that ends too early",
		`[]`:                                 `text that begins with "[]"`,
		`{"a":1`:                             "text that ends too early",
		`{"a":1}x`:                           "after its end",
		`{"a":1} {}`:                         "after its end",
		`{"a":1,"a":2}`:                      `key "a" twice`,
		`{"a":}`:                             "invalid character",
		`{"a":1,}`:                           "invalid character",
		`{1:2}`:                              "want one JSON object",
		`{"a":` + strings.Repeat("[", 20000): "depth",
	} {
		_, err := ParseObject("f", []byte(text))
		require.ErrorIs(t, err, quant.ErrFormat, text)
		require.ErrorContains(t, err, want)
	}
	_, err = ParseObject("f", make([]byte, MaxConfig+1))
	require.ErrorContains(t, err, "16 MiB")
}

func TestShortName(t *testing.T) {
	for name, want := range map[string]string{
		"config.json":         "config.json",
		"":                    "",
		"quantization_config": "quantization_config",
		`quantization_config: extra_config: "a/b"`:             `quantization_config: extra_config: "a/b"`,
		"/models/a/config.json: quantization_config":           "config.json: quantization_config",
		"/data/my: models/a/config.json: quantization_config":  "config.json: quantization_config",
		"/data/my: models/a/quant_model_description_w4a4.json": "quant_model_description_w4a4.json",
		`a/config.json: q: dynamic: "+:.*/(down|up): x"`:       `config.json: q: dynamic: "+:.*/(down|up): x"`,
	} {
		require.Equal(t, want, ShortName(name))
	}
}

func TestObjectGetters(t *testing.T) {
	o, err := ParseObject("f", []byte(`{"i":128,"f":128.0,"h":1.5,"big":1e300,"t":true,"s":"x","l":["a","b"],"o":{},"long":"`+strings.Repeat("x", 500)+`"}`))
	require.NoError(t, err)
	for _, key := range []string{"i", "f"} {
		n, err := o.Int(key, 0)
		require.NoError(t, err)
		require.Equal(t, 128, n)
	}
	n, err := o.Int("absent", 7)
	require.NoError(t, err)
	require.Equal(t, 7, n)
	b, err := o.Bool("t", false)
	require.NoError(t, err)
	require.True(t, b)
	b, err = o.Bool("absent", true)
	require.NoError(t, err)
	require.True(t, b)
	l, err := o.Texts("l")
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, l)
	l, err = o.Texts("absent")
	require.NoError(t, err)
	require.Nil(t, l)
	s, err := o.Text("absent")
	require.NoError(t, err)
	require.Empty(t, s)

	wrong := map[string]error{}
	for _, key := range []string{"h", "big", "s"} {
		_, wrong["int "+key] = o.Int(key, 0)
	}
	_, wrong["bool"] = o.Bool("s", false)
	_, wrong["text"] = o.Text("i")
	_, wrong["object"] = o.Object("l")
	_, wrong["texts"] = o.Texts("o")
	_, wrong["long"] = o.Bool("long", false)
	for what, err := range wrong {
		require.ErrorIs(t, err, quant.ErrFormat, what)
		require.Less(t, len(err.Error()), 200)
	}
	raw, _ := o.Raw("long")
	require.Len(t, raw, 502, "an error must not cut the field that it shows")
}

// source is a Source of one tensor.
type source struct {
	t safetensors.Tensor
	b []byte
}

var errRead = errors.New("read fails")

func (s source) Lookup(name string) (safetensors.Tensor, bool) { return s.t, name == s.t.Name }
func (s source) Names() []string                               { return []string{s.t.Name} }
func (s source) ReadAt([]byte, string, int64) error            { return errRead }
func (s source) Read(dst []byte, _ string) ([]byte, error) {
	if s.b == nil {
		return nil, errRead
	}
	return append(dst[:0], s.b...), nil
}

func TestReadBias(t *testing.T) {
	b := make([]byte, 8)
	dtype.Encode(dtype.F32, b, []float32{1.5, -2})
	src := source{safetensors.Tensor{Name: "m.bias", Type: "F32", Shape: []int64{2}, Bytes: 8}, b}
	for _, s := range []*Scratch{nil, {}} {
		var l quant.Linear
		require.NoError(t, ReadBias(&l, src, "m.bias", 2, s, 0))
		require.Equal(t, []float32{1.5, -2}, l.Bias)
		require.NoError(t, ReadBias(&l, src, "other.bias", 2, s, 0))
		require.False(t, l.HasBias())
	}
	bad := func(change func(*source), want string) {
		t.Helper()
		s := src
		s.b = slices.Clone(b)
		change(&s)
		err := ReadBias(new(quant.Linear), s, "m.bias", 2, nil, 0)
		require.ErrorContains(t, err, want)
	}
	bad(func(s *source) { s.t.Type = "I32" }, "m.bias: type is I32, want F32, F16 or BF16")
	bad(func(s *source) { s.t.Shape = []int64{3} }, "m.bias: shape is [3], want [2]")
	bad(func(s *source) { s.t.Shape = []int64{2, 1} }, "shape is [2 1], want [2]")
	bad(func(s *source) { s.b = nil }, "read fails")
	bad(func(s *source) { binary.LittleEndian.PutUint32(s.b[4:], math.Float32bits(float32(math.NaN()))) }, "m.bias: element 1 is NaN, want a finite number")
}

// rows is a Source of one tensor that can be read in parts.
type rows struct{ source }

func (r rows) ReadAt(dst []byte, _ string, off int64) error {
	copy(dst, r.b[off:])
	return nil
}

func TestReadScales(t *testing.T) {
	const n, groups = 70, 3 // more than one strip, and a short one
	for _, d := range []dtype.DType{dtype.F16, dtype.BF16, dtype.F32} {
		v := make([]float32, (groups+1)*n) // a row of padding, which may hold anything
		for i := range v {
			v[i] = float32(i%251) / 4
		}
		v[groups*n] = float32(math.NaN())
		b := make([]byte, len(v)*d.Size())
		dtype.Encode(d, b, v)
		var w quant.Weight
		g, err := quant.UniformGroups(6, 2)
		require.NoError(t, err)
		require.NoError(t, w.Reset(quant.Form{N: n, K: 6, Bits: 4, Scales: d, Groups: g}))
		src := rows{source{safetensors.Tensor{Name: "m.scales"}, b}}
		require.NoError(t, ReadScales(&w, src, "m.scales", nil, 0))
		for i := range groups * n {
			require.Equal(t, v[i], w.Scale(i%n, i/n))
		}
		d.Put(b, n+5, float32(math.Inf(-1)))
		require.ErrorContains(t, ReadScales(&w, src, "m.scales", nil, 0), "m.scales: element [1, 5] is -Inf, want a finite number")
	}
	var w quant.Weight
	require.NoError(t, w.Reset(quant.Form{N: 1, K: 6, Bits: 4, Scales: dtype.F16, Groups: quant.OneGroup(6)}))
	require.ErrorIs(t, ReadScales(&w, source{}, "x", nil, 0), errRead)
}

func TestOwners(t *testing.T) {
	src := source{t: safetensors.Tensor{Name: "a.b.qweight"}}
	require.Equal(t, []string{"a.b"}, Owners(src, ".qzeros", ".qweight"))
	require.Empty(t, Owners(src, ".weight", "a.b.qweight"))
}

func TestReasons(t *testing.T) {
	r := []Refused{{"a", "x"}, {"b", "y"}, {"c", "x"}}
	require.Equal(t, "x: 2 layers, the first is a; y: 1 layer, b", Reasons(r))
	r = make([]Refused, 12)
	for i := range r {
		r[i].Name = fmt.Sprint("m.", i)
	}
	for i := range r {
		r[i].Why = fmt.Sprint("why ", i)
	}
	require.Contains(t, Reasons(r), "why 7: 1 layer, m.7; 4 more reasons")
}

func TestScratchKeepsItsBuffers(t *testing.T) {
	var s Scratch
	src := source{safetensors.Tensor{Name: "m", Bytes: 3}, []byte{1, 2, 3}}
	a, err := s.Read(0, src, "m")
	require.NoError(t, err)
	b, err := s.Read(0, src, "m")
	require.NoError(t, err)
	require.Same(t, &a[0], &b[0])
	c, err := s.Read(1, src, "m")
	require.NoError(t, err)
	require.NotSame(t, &a[0], &c[0])

	big := s.Bytes(2, 100)
	require.Same(t, &big[0], &s.Bytes(2, 50)[0])
	require.Len(t, s.Bytes(2, 50), 50)
	ints := s.Ints(9)
	require.Same(t, &ints[0], &s.Ints(4)[0])
	require.Len(t, s.Ints(4), 4)

	var none *Scratch
	require.Len(t, none.Bytes(0, 5), 5)
	require.Len(t, none.Ints(5), 5)
}

func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":{"c":NaN}}`, `{"a":"\\","b":-Infinity}`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseObject("f", b)
		if err != nil {
			require.ErrorIs(t, err, quant.ErrFormat)
			return
		}
		for _, field := range o.Fields {
			_, _ = o.Text(field.Key)
			_, _ = o.Int(field.Key, 0)
			_, _ = o.Bool(field.Key, false)
			_, _ = o.Texts(field.Key)
			_, _ = o.Object(field.Key)
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{`.*\.mlp\..*`, `(?!x)y`, `[]a]`, `\Z`, `a{3}`} {
		f.Add(s, "model.layers.0.mlp.up_proj")
	}
	f.Fuzz(func(t *testing.T, expr, name string) {
		re, err := new(Patterns).Compile("f", expr)
		if err != nil {
			require.ErrorIs(t, err, quant.ErrUnsupported)
			return
		}
		_, err = new(Patterns).match(re, name)
		require.NoError(t, err)
		if at := re.re.FindStringIndex(name); at != nil {
			require.Zero(t, at[0], "a match begins at the start")
			require.True(t, strings.HasPrefix(name, re.prefix))
		}
	})
}

func TestCount(t *testing.T) {
	require.Equal(t, "0 rows", Count(0, "row"))
	require.Equal(t, "1 row", Count(1, "row"))
	require.Equal(t, "2 rows", Count(2, "row"))
	require.Equal(t, "0 layers", Layers(0, ""))
	require.Equal(t, "1 layer, a.b", Layers(1, "a.b"))
	require.Equal(t, "3 layers, the first is a.b", Layers(3, "a.b"))
	require.Less(t, len(Layers(2, strings.Repeat("x", 10000))), 200)
}

// TestFlagsInside are refused: they mean one thing in each engine.
func TestFlagsInside(t *testing.T) {
	for _, expr := range []string{`a(?i)b`, `(?:(?i)a)`, `^(?i)a`, `(?!(?i)a)b`, `(?!a)(?i)b`, `(?i)a(?s)b`} {
		var p Patterns
		_, err := p.Compile("dynamic", expr)
		require.ErrorIs(t, err, quant.ErrUnsupported, expr)
	}
	for _, expr := range []string{`(?i)ab`, `(?i)(?s)ab`, `(?i)(?!b)ab`, `(?s)(?i)(?!b)(?=a)ab`, `(?i:a)B`, `[(?i)]?A`, `\(?A(?i:b)`} {
		var p Patterns
		x, err := p.Compile("dynamic", expr)
		require.NoError(t, err, expr)
		ok, err := p.match(x, "AB")
		require.NoError(t, err)
		require.True(t, ok, expr)
	}
}

// TestManyLookaheads are refused: a byte of a configuration would cost a hundred of memory.
func TestManyLookaheads(t *testing.T) {
	var p Patterns
	_, err := p.Compile("dynamic", strings.Repeat("(?!b)", maxAhead)+"a")
	require.NoError(t, err)
	_, err = p.Compile("dynamic", strings.Repeat("(?!b)", 100_000)+"a")
	require.ErrorIs(t, err, quant.ErrUnsupported)
	for range 20_000 {
		if _, err = p.Compile("dynamic", strings.Repeat("(?!b)", maxAhead)+"a"); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, quant.ErrUnsupported, "of all patterns together")
}
