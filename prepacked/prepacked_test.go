package prepacked_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	checkpointmodule "github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/prepacked"
	"github.com/bitlane/bitlane/quant"
)

const bundled = "../testdata"

const layer = "model.layers.0.mlp.down_proj"

// rig is a device, a model and a cache.
type rig struct {
	*testing.T
	dev   backend.Device
	model *checkpoint.Model
	cache *prepacked.Cache
}

func open(t *testing.T, model, dir string) *rig {
	m, err := checkpoint.Open(t.Context(), model, checkpoint.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	dev, err := bitlane.Open(t.Context(), "cpu:0", backend.OpenOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	c, err := prepacked.Open(dir)
	require.NoError(t, err)
	return &rig{t, dev, m, c}
}

// bits are the packed weights and an y of a layer, which is closed.
func (r *rig) bits(l backend.Layer) []byte {
	var out bytes.Buffer
	require.NoError(r, l.(backend.Keeper).WritePacked(r.Context(), &out))
	s := l.Spec()
	const rows = 3
	var buffers []backend.Buffer
	alloc := func(n int) backend.Span {
		b, err := r.dev.Alloc(n)
		require.NoError(r, err)
		buffers = append(buffers, b)
		return backend.Whole(b)
	}
	defer func() {
		for _, b := range buffers {
			require.NoError(r, b.Close())
		}
	}()
	x := make([]byte, rows*s.K*s.X.Size())
	for i := range rows * s.K {
		s.X.Put(x, i, float32(i*37%23)-11)
	}
	in, y, ws := alloc(len(x)), alloc(rows*s.N*s.Y.Size()), alloc(l.Workspace(rows))
	st, err := r.dev.NewStream()
	require.NoError(r, err)
	defer func() { require.NoError(r, st.Close()) }()
	require.NoError(r, st.Upload(in, x))
	require.NoError(r, l.Apply(st, backend.Dense(y, s.Y, rows, s.N), backend.Dense(in, s.X, rows, s.K), ws))
	got := make([]byte, y.Bytes)
	require.NoError(r, st.Download(got, y))
	require.NoError(r, l.Close())
	return append(out.Bytes(), got...)
}

var request = backend.Request{X: dtype.F32, MaxRows: 3}

// make returns a layer's bits and report.
func (r *rig) make(p prepacked.Part, q backend.Request) ([]byte, *prepacked.Report) {
	l, report, err := r.cache.NewLinear(r.Context(), r.dev, r.model, p, q, bitlane.ChooseOptions{})
	require.NoError(r, err)
	require.NotNil(r, report.Choice)
	s := l.Spec()
	require.Equal(r, q.X, s.X)
	return r.bits(l), report
}

// TestSecondStart: every layer of every bundled checkpoint, whole and cut, is restored as it
// was packed, with what its reader found.
func TestSecondStart(t *testing.T) {
	dir := t.TempDir()
	models, err := filepath.Glob(filepath.Join(bundled, "*", "config.json"))
	require.NoError(t, err)
	for _, config := range models {
		first, second := open(t, filepath.Dir(config), dir), open(t, filepath.Dir(config), dir)
		for _, m := range first.model.Modules() {
			for _, cuts := range [][]prepacked.Cut{
				nil,
				{{Axis: quant.AxisN, Rank: 1, Size: 3}},
				{{Axis: quant.AxisK, Ranges: []quant.Range{{Start: m.K / 8, End: m.K / 2}, {Start: m.K/2 + 3, End: m.K/2 + 4}}}, {Axis: quant.AxisN, Rank: 0, Size: 2}},
			} {
				if m.Recipe.Kind == quant.Int4FlatQuant && len(cuts) == 2 {
					continue // a transform cannot be cut along K
				}
				p := prepacked.Part{Name: m.Name, Cuts: cuts}
				want, report := first.make(p, request)
				require.False(t, report.Restored, "%s: %+v", config, p)
				require.Empty(t, report.Note)
				got, again := second.make(p, request)
				require.True(t, again.Restored, "%s: %+v: %s", config, p, again.Note)
				require.Equal(t, want, got, "%s: %+v", config, p)
				require.Equal(t, report.Findings, again.Findings)
				require.Equal(t, report.Choice, again.Choice)
			}
		}
	}
}

// TestOtherRequests take the weights that were kept where the bytes are the same.
func TestOtherRequests(t *testing.T) {
	r := open(t, filepath.Join(bundled, "gptq-w8-actorder"), t.TempDir())
	p := prepacked.Part{Name: r.model.Modules()[1].Name}
	first, _ := r.make(p, request)
	_, report := r.make(p, backend.Request{X: dtype.F16, Y: dtype.F32, MaxRows: 100})
	require.True(t, report.Restored)
	recipe := quant.Recipe{Kind: quant.Int8Group, Group: 32}
	_, report = r.make(p, backend.Request{X: dtype.F32, MaxRows: 3, Recipe: &recipe})
	require.False(t, report.Restored, "another packing")
	_, report = r.make(p, backend.Request{X: dtype.F32, MaxRows: 3, Recipe: &recipe})
	require.True(t, report.Restored)
	same, report := r.make(p, request)
	require.True(t, report.Restored)
	require.Equal(t, first, same, "the layer's own recipe")

	disabled := bitlane.ChooseOptions{Disable: []string{report.Choice.Verdicts[0].Kernel}}
	for _, v := range report.Choice.Verdicts {
		if v.Chosen {
			disabled.Disable = append(disabled.Disable, v.Kernel)
		}
	}
	l, report, err := r.cache.NewLinear(t.Context(), r.dev, r.model, p, request, disabled)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.False(t, report.Restored, "another kernel")

	_, report, err = r.cache.NewLinear(t.Context(), r.dev, r.model, p, request, bitlane.ChooseOptions{Kernel: "cpu_wx_a16_go"})
	var none *bitlane.NoKernelError
	require.ErrorAs(t, err, &none, "what is kept decides nothing")
	require.NotNil(t, report.Choice)
	_, _, err = r.cache.NewLinear(t.Context(), r.dev, nil, p, request, bitlane.ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrShape)
	_, _, err = r.cache.NewLinear(t.Context(), r.dev, r.model, p, backend.Request{MaxRows: 1}, bitlane.ChooseOptions{})
	require.ErrorIs(t, err, backend.ErrDType)
	_, _, err = r.cache.NewLinear(t.Context(), r.dev, r.model, prepacked.Part{Name: "no such layer"}, request, bitlane.ChooseOptions{})
	require.ErrorIs(t, err, quant.ErrUnsupported)
	_, _, err = r.cache.NewLinear(t.Context(), r.dev, r.model, prepacked.Part{Name: p.Name, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Rank: 3, Size: 3}}}, request, bitlane.ChooseOptions{})
	require.ErrorIs(t, err, quant.ErrShape)
}

// packedFile is the only file of weights of a cache.
func packedFile(t *testing.T, dir string) string {
	all, err := filepath.Glob(filepath.Join(dir, "layers", "*", "*.cpu_*"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

// TestDamage: whatever becomes of the file of weights, the layer is right, the report says
// what was wrong, and the next start is well.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	p := prepacked.Part{Name: layer}
	want, _ := r.make(p, request)
	path := packedFile(t, dir)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	flip := func(at int) func(b []byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	for name, change := range map[string]func(b []byte) []byte{
		"magic":            flip(3),
		"size":             flip(24),
		"identity":         flip(50),
		"page's end":       flip(4090),
		"page's checksum":  flip(4095),
		"first weight":     flip(4096),
		"middle":           flip(len(good) / 2),
		"last weight":      flip(-5),
		"table":            flip(-1),
		"a byte less":      func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more":      func(b []byte) []byte { return append(b, 0) },
		"half":             func(b []byte) []byte { return b[:len(b)/2] },
		"less than a page": func(b []byte) []byte { return b[:100] },
		"empty":            func([]byte) []byte { return nil },
		"zeros":            func(b []byte) []byte { clear(b); return b },
	} {
		require.NoError(t, os.WriteFile(path, change(bytes.Clone(good)), 0o600))
		got, report := r.make(p, request)
		require.Equal(t, want, got, name)
		require.False(t, report.Restored, name)
		require.Contains(t, report.Note, "packed anew: "+path, name)
		_, report = r.make(p, request)
		require.True(t, report.Restored, name)
		require.Empty(t, report.Note, name)
	}
	facts, err := filepath.Glob(filepath.Join(dir, "layers", "*", "*.facts"))
	require.NoError(t, err)
	require.Len(t, facts, 1)
	for _, text := range []string{"", "x", "00000000\n{}"} {
		require.NoError(t, os.WriteFile(facts[0], []byte(text), 0o600))
		got, report := r.make(p, request)
		require.Equal(t, want, got)
		require.False(t, report.Restored, "%q", text)
		require.Contains(t, report.Note, "packed anew: "+facts[0], "%q", text)
	}
	// A file of another layer under this one's name.
	other, report := r.make(prepacked.Part{Name: layer, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Rank: 0, Size: 1}}}, request)
	require.Equal(t, want, other)
	require.False(t, report.Restored)
	all, err := filepath.Glob(filepath.Join(dir, "layers", "*", "*.cpu_*"))
	require.NoError(t, err)
	require.Len(t, all, 2)
	b, err := os.ReadFile(all[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(all[1], b, 0o600))
	_, first := r.make(p, request)
	_, second := r.make(prepacked.Part{Name: layer, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Rank: 0, Size: 1}}}, request)
	require.NotEqual(t, first.Restored, second.Restored)
	require.Contains(t, first.Note+second.Note, "the file was moved")
}

// TestContentDecides: a copy of a model finds what was kept, a changed one does not.
func TestContentDecides(t *testing.T) {
	cache, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	p := prepacked.Part{Name: layer}
	first := open(t, filepath.Join(bundled, "gptq-w4-g128"), cache)
	want, _ := first.make(p, request)
	require.NoError(t, os.CopyFS(copied, os.DirFS(filepath.Join(bundled, "gptq-w4-g128"))))
	got, report := open(t, copied, cache).make(p, request)
	require.True(t, report.Restored)
	require.Equal(t, want, got)

	model := filepath.Join(copied, "model.safetensors")
	info, err := os.Stat(model)
	require.NoError(t, err)
	b, err := os.ReadFile(model)
	require.NoError(t, err)
	m, err := checkpoint.Open(t.Context(), copied, checkpoint.Options{})
	require.NoError(t, err)
	origin, err := m.Origin(layer)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	codes := slices.IndexFunc(origin.Tensors, func(t checkpoint.OriginTensor) bool { return strings.HasSuffix(t.Name, ".qweight") })
	b[origin.Tensors[codes].Offset] ^= 0x10
	require.NoError(t, os.WriteFile(model, b, 0o600))
	require.NoError(t, os.Chtimes(model, info.ModTime(), info.ModTime()))
	got, report = open(t, copied, cache).make(p, request)
	require.False(t, report.Restored, "one bit of a tensor, under the old name, size and time")
	require.NotEqual(t, want, got)
}

// TestNothingToKeep: a disk that takes nothing costs the copy, and a format that does not say what
// its layers are made of, too.
func TestNothingToKeep(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "layers")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "layers"), nil, 0o600))
	_, report := r.make(prepacked.Part{Name: layer}, request)
	require.Contains(t, report.Note, "not kept: mkdir ")
	require.False(t, report.Restored)

	r.cache, _ = prepacked.Open(t.TempDir())
	l, report, err := r.cache.NewLinear(t.Context(), r.dev, silent{r.model}, prepacked.Part{Name: layer}, request, bitlane.ChooseOptions{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.Contains(t, report.Note, "not kept: "+layer+": it does not say")
	_, err = prepacked.Open(filepath.Join(dir, "layers", "x"))
	require.Error(t, err)
}

// silent is a model that does not say what its layers are made of.
type silent struct{ *checkpoint.Model }

func (silent) Origin(name string) (checkpoint.Origin, error) {
	return checkpoint.Origin{}, quant.Errorf(quant.ErrUnsupported, name, "", "", "it does not say")
}

// TestInterrupted: an ended context is passed on and nothing is left.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	for kept := range 2 {
		for steps := range 40 {
			ctx := &countdown{Context: t.Context(), left: steps}
			l, _, err := r.cache.NewLinear(ctx, r.dev, r.model, prepacked.Part{Name: layer}, request, bitlane.ChooseOptions{})
			if err == nil {
				require.NoError(t, l.Close())
				continue
			}
			require.ErrorIs(t, err, context.Canceled, "kept %d, step %d", kept, steps)
		}
		require.Equal(t, backend.Alive{}, r.dev.(backend.Counter).Alive())
		require.Empty(t, temporary(t, dir))
		r.make(prepacked.Part{Name: layer}, request)
	}
}

// countdown is a context that ends when it was asked so many times.
type countdown struct {
	context.Context
	mu   sync.Mutex
	left int
}

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func temporary(t *testing.T, dir string) (found []string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".tmp") {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// TestTogether: several caches, as of several processes, on one directory that somebody prunes.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	want, _ := r.make(prepacked.Part{Name: layer}, request)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			c, err := prepacked.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			for range 10 {
				if i == 0 {
					if _, err := c.Prune(t.Context(), 0); err != nil {
						t.Error(err)
					}
					continue
				}
				l, _, err := c.NewLinear(t.Context(), r.dev, r.model, prepacked.Part{Name: layer}, request, bitlane.ChooseOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				var packed bytes.Buffer
				if err := errors.Join(l.(backend.Keeper).WritePacked(t.Context(), &packed), l.Close()); err != nil || !bytes.HasPrefix(want, packed.Bytes()) {
					t.Errorf("%v, or other weights", err)
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, temporary(t, dir))
}

// TestPrune removes what was not used for longest, and nothing that a writer may be at.
func TestPrune(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	r.make(prepacked.Part{Name: layer}, request)
	path := packedFile(t, dir)
	info, err := os.Stat(path)
	require.NoError(t, err)
	old, young := filepath.Join(dir, "layers", "old.tmp"), filepath.Join(dir, "layers", "young.tmp")
	require.NoError(t, os.WriteFile(old, make([]byte, 10), 0o600))
	require.NoError(t, os.WriteFile(young, make([]byte, 10), 0o600))
	require.NoError(t, os.Chtimes(old, time.Time{}, time.Now().Add(-48*time.Hour)))
	left, err := r.cache.Prune(t.Context(), 1<<40)
	require.NoError(t, err)
	require.Greater(t, left, info.Size())
	require.NoFileExists(t, old)
	require.FileExists(t, young)
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
	left, err = r.cache.Prune(t.Context(), info.Size())
	require.NoError(t, err)
	require.LessOrEqual(t, left, info.Size())
	require.NoFileExists(t, path)
	_, report := r.make(prepacked.Part{Name: layer}, request)
	require.False(t, report.Restored)
	require.Empty(t, report.Note)
	left, err = r.cache.Prune(t.Context(), 0)
	require.NoError(t, err)
	require.EqualValues(t, 10, left, "what is being written")
	require.FileExists(t, filepath.Join(dir, "CACHEDIR.TAG"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.cache.Prune(ended, 0)
	require.ErrorIs(t, err, context.Canceled)
}

// TestPruneKeepsWhatIsUsed: what was restored lately stays to be restored, whatever else was kept since.
func TestPruneKeepsWhatIsUsed(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	used, unused := prepacked.Part{Name: layer}, prepacked.Part{Name: layer, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Rank: 0, Size: 2}}}
	age := func(d time.Duration) {
		require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			return os.Chtimes(path, time.Time{}, info.ModTime().Add(-d))
		}))
	}
	r.make(used, request)
	age(time.Hour)
	r.make(unused, request)
	age(time.Hour)
	_, report := r.make(used, request)
	require.True(t, report.Restored)
	left, err := r.cache.Prune(t.Context(), 1<<40)
	require.NoError(t, err)
	weights, err := filepath.Glob(filepath.Join(dir, "layers", "*", "*.cpu_*"))
	require.NoError(t, err)
	smallest := int64(1 << 40)
	for _, path := range weights {
		info, err := os.Stat(path)
		require.NoError(t, err)
		smallest = min(smallest, info.Size())
	}
	_, err = r.cache.Prune(t.Context(), left-smallest)
	require.NoError(t, err)
	_, report = r.make(used, request)
	require.True(t, report.Restored, "it was used last")
}

// TestPruneOnlyItsOwn: a directory may have other files, which are nobody's to remove.
func TestPruneOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	c, err := prepacked.Open(dir)
	require.NoError(t, err)
	mine := filepath.Join(dir, "Documents", "letter")
	require.NoError(t, os.Mkdir(filepath.Dir(mine), 0o700))
	require.NoError(t, os.WriteFile(mine, []byte("text"), 0o600))
	left, err := c.Prune(t.Context(), 0)
	require.NoError(t, err)
	require.Zero(t, left)
	require.FileExists(t, mine)
}

// TestChangedMeanwhile: a file that is changed between the digest and Load must not be kept as
// what it was before.
func TestChangedMeanwhile(t *testing.T) {
	cache, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	original := filepath.Join(bundled, "gptq-w4-g128")
	require.NoError(t, os.CopyFS(copied, os.DirFS(original)))
	p := prepacked.Part{Name: layer}
	r := open(t, copied, cache)
	src := changing{r.model, func() {
		file := filepath.Join(copied, "model.safetensors")
		origin, err := r.model.Origin(layer)
		require.NoError(t, err)
		codes := slices.IndexFunc(origin.Tensors, func(t checkpoint.OriginTensor) bool { return strings.HasSuffix(t.Name, ".qweight") })
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("other"), origin.Tensors[codes].Offset)
		require.NoError(t, errors.Join(err, f.Close()))
	}}
	l, report, err := r.cache.NewLinear(t.Context(), r.dev, src, p, request, bitlane.ChooseOptions{})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.Contains(t, report.Note, "changed")
	want, _ := open(t, original, t.TempDir()).make(p, request)
	got, report := open(t, original, cache).make(p, request)
	require.False(t, report.Restored)
	require.Equal(t, want, got)
}

// changing is a model whose file is changed before it is read.
type changing struct {
	*checkpoint.Model
	change func()
}

func (c changing) Load(ctx context.Context, dst *quant.Linear, name string) ([]checkpointmodule.Finding, error) {
	c.change()
	return c.Model.Load(ctx, dst, name)
}

// TestNoRanges: a cut of no ranges is the same part whatever is kept, nil or not.
func TestNoRanges(t *testing.T) {
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), t.TempDir())
	none := prepacked.Part{Name: layer, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Ranges: []quant.Range{}, Rank: 1, Size: 2}}}
	want, report := r.make(none, request)
	require.False(t, report.Restored)
	none.Cuts[0].Ranges = nil
	got, report := r.make(none, request)
	require.True(t, report.Restored)
	require.Equal(t, want, got)
}

// TestMovedFacts: facts under the name of another layer's are not believed, like weights.
func TestMovedFacts(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(bundled, "gptq-w4-g128"), dir)
	facts := func() []string {
		all, err := filepath.Glob(filepath.Join(dir, "layers", "*", "*.facts"))
		require.NoError(t, err)
		return all
	}
	share := func(rank int) prepacked.Part {
		return prepacked.Part{Name: layer, Cuts: []prepacked.Cut{{Axis: quant.AxisN, Rank: rank, Size: 2}}}
	}
	want, _ := r.make(share(0), request)
	mine := facts()[0]
	r.make(share(1), request)
	for _, path := range facts() {
		if path != mine {
			require.NoError(t, os.Rename(path, mine))
		}
	}
	l, report, err := r.cache.NewLinear(t.Context(), r.dev, r.model, share(0), request, bitlane.ChooseOptions{})
	require.NoError(t, err)
	spec := l.Spec()
	require.Equal(t, want, r.bits(l))
	require.Equal(t, 0, spec.NRanges[0].Start, "the other half's Spec")
	require.Contains(t, report.Note, "packed anew: "+mine)
}

// TestOldTimes: two models of one size and one time of modification, as archives and rsync leave
// them, take the same path one after the other.
func TestOldTimes(t *testing.T) {
	cache, dir := t.TempDir(), filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(bundled, "gptq-w4-g128"))))
	path, then := filepath.Join(dir, "model.safetensors"), time.Unix(1e9, 0)
	require.NoError(t, os.Chtimes(path, then, then))
	p := prepacked.Part{Name: layer}
	want, _ := open(t, dir, cache).make(p, request)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	m, err := checkpoint.Open(t.Context(), dir, checkpoint.Options{})
	require.NoError(t, err)
	origin, err := m.Origin(layer)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	for _, tensor := range origin.Tensors {
		if strings.HasSuffix(tensor.Name, ".qweight") {
			b[tensor.Offset] ^= 0x10
		}
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, b, 0o600))
	require.NoError(t, os.Chtimes(path, then, then))
	got, report := open(t, dir, cache).make(p, request)
	require.False(t, report.Restored)
	require.NotEqual(t, want, got)
}

// TestNotACache: a directory of somebody else's is not taken for one.
func TestNotACache(t *testing.T) {
	_, err := prepacked.Open("")
	require.ErrorIs(t, err, quant.ErrFormat)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), []byte("x"), 0o600))
	_, err = prepacked.Open(dir)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, `one with "model.safetensors" in it`)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	cache := filepath.Join(dir, "cache")
	require.NoError(t, os.MkdirAll(filepath.Join(cache, "lost+found"), 0o700)) // a new file system
	for range 2 {
		_, err = prepacked.Open(cache)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(cache, "notes.txt"), nil, 0o600), "a cache stays one")
	}
}
