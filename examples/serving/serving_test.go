package serving_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/examples/serving"
	"github.com/bitlane/bitlane/quant"
)

func shape(rank, ranks int) serving.Shape {
	return serving.Shape{Hidden: 256, Heads: 8, KVHeads: 2, HeadDim: 32, Inner: 384, DType: dtype.BF16, Rank: rank, Ranks: ranks, MaxRows: 64}
}

// random is a block of 4-bit layers in groups of 64, the same every time.
func random(_ context.Context, dst *quant.Linear, name string) error {
	s := shape(0, 1)
	sizes := map[string][2]int{
		"q": {s.Heads * s.HeadDim, s.Hidden}, "k": {s.KVHeads * s.HeadDim, s.Hidden}, "v": {s.KVHeads * s.HeadDim, s.Hidden},
		"o": {s.Hidden, s.Heads * s.HeadDim}, "gate": {s.Inner, s.Hidden}, "up": {s.Inner, s.Hidden}, "down": {s.Hidden, s.Inner},
	}
	n, k := sizes[name][0], sizes[name][1]
	groups, err := quant.UniformGroups(k, 64)
	if err != nil {
		return err
	}
	dst.Reset(name)
	if err := dst.Weight.Reset(quant.Form{N: n, K: k, Bits: 4, Scales: dtype.BF16, Groups: groups}); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(uint64(n), uint64(name[0])))
	codes := make([]uint8, k)
	for row := range n {
		for i := range codes {
			codes[i] = uint8(rng.IntN(16))
		}
		dst.Weight.PackRow(row, codes)
		for g := range groups.Count() {
			dst.Weight.SetScale(row, g, float32(0.5+rng.Float64())/100)
		}
	}
	return nil
}

// memory is the program's own, aligned as a workspace must be.
func memory(bytes int) []byte {
	m := make([]byte, bytes+backend.WorkspaceAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(m))) % backend.WorkspaceAlign
	return m[skip:][:bytes]
}

// fill writes tokens to x, the same ones in every type.
func fill(t dtype.DType, x []byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range len(x) / t.Size() {
		t.Put(x, i, dtype.BF16.Round(float32(rng.NormFloat64())))
	}
}

func alone([]byte) {} // the all-reduce of a single rank

// One rank of two, from the question whether it fits to unloading.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{MemoryLimit: 1 << 20})
	check(err)

	s := shape(1, 2)
	weights, workspace, err := serving.Fits(ctx, dev, s, random)
	check(err)
	free, _, err := dev.Mem()
	check(err)
	fmt.Println("fits:", weights <= free, "- a workspace is needed:", workspace > 0)

	block, err := serving.Load(ctx, dev, s, random)
	check(err)
	fmt.Println("as foretold:", block.Bytes() == weights, int64(block.Workspace(s.MaxRows)) <= workspace)

	session, err := serving.NewSession(dev, block, memory(block.PoolBytes()), 0)
	check(err)
	fill(s.DType, session.Input(s.MaxRows))
	check(session.Forward(s.MaxRows, alone)) // prefill
	for range 3 {
		copy(session.Input(1), session.Output(1))
		check(session.Forward(1, alone)) // decode
	}

	check(session.Close())
	check(block.Close())
	check(dev.Close()) // nothing is left on the device
	fmt.Println("unloaded")
	// Output:
	// fits: true - a workspace is needed: true
	// as foretold: true true
	// unloaded
}

func open(t *testing.T, s serving.Shape) (*serving.Session, *serving.Block) {
	dev, err := bitlane.Open(t.Context(), "cpu", backend.OpenOptions{})
	require.NoError(t, err)
	block, err := serving.Load(t.Context(), dev, s, random)
	require.NoError(t, err)
	session, err := serving.NewSession(dev, block, memory(block.PoolBytes()), 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, session.Close())
		require.NoError(t, block.Close())
		require.NoError(t, dev.Close())
	})
	return session, block
}

func TestTheLoopAllocatesNothing(t *testing.T) {
	session, _ := open(t, shape(0, 2))
	fill(dtype.BF16, session.Input(64))
	require.NoError(t, session.Forward(64, alone))
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection may empty a pool of the runtime's
	require.Zero(t, testing.AllocsPerRun(20, func() {
		for _, rows := range []int{1, 4, 64} {
			if err := session.Forward(rows, alone); err != nil {
				panic(err)
			}
		}
	}))
}

// Two ranks, run in turns up to each all-reduce, give what one rank gives. In 16
// bits both are held to the block in float32, whose only roundings are those of
// its sums: seven results on the way are rounded, each by at most half an ulp.
func TestRanksSumToTheWhole(t *testing.T) {
	const rows = 5
	truth := forward(t, dtype.F32, rows)
	largest := 0.0
	for _, v := range truth {
		largest = max(largest, math.Abs(float64(v)))
	}
	require.Greater(t, largest, 0.01)
	for _, c := range []struct {
		dtype dtype.DType
		bound float64
	}{{dtype.F32, 1e-5}, {dtype.F16, 7 * 0x1p-12}, {dtype.BF16, 7 * 0x1p-9}} {
		worstWhole, worstRanks := 0.0, 0.0
		whole, ranks := forward(t, c.dtype, rows), forwardInTwo(t, c.dtype, rows)
		for i, v := range truth {
			worstWhole = max(worstWhole, math.Abs(float64(whole[i]-v))/largest)
			worstRanks = max(worstRanks, math.Abs(float64(ranks[i]-v))/largest)
		}
		require.LessOrEqual(t, worstWhole, c.bound, "%v", c.dtype)
		require.LessOrEqual(t, worstRanks, c.bound, "%v", c.dtype)
		t.Logf("%v: %.3g of the largest output in one rank, %.3g in two", c.dtype, worstWhole, worstRanks)
	}
}

// forward is the output of the whole block.
func forward(t *testing.T, in dtype.DType, rows int) []float32 {
	s := shape(0, 1)
	s.DType = in
	session, _ := open(t, s)
	fill(in, session.Input(rows))
	require.NoError(t, session.Forward(rows, alone))
	return numbers(in, session.Output(rows))
}

func numbers(t dtype.DType, b []byte) []float32 {
	v := make([]float32, len(b)/t.Size())
	dtype.Decode(t, v, b)
	return v
}

// forwardInTwo is the output that two ranks agree on.
func forwardInTwo(t *testing.T, in dtype.DType, rows int) []float32 {
	var ranks [2]*serving.Session
	parts := make(chan []byte)
	sums := make(chan []byte)
	errs := make(chan error, len(ranks))
	for i := range ranks {
		s := shape(i, 2)
		s.DType = in
		ranks[i], _ = open(t, s)
		fill(in, ranks[i].Input(rows))
		go func() {
			errs <- ranks[i].Forward(rows, func(y []byte) {
				parts <- append([]byte(nil), y...)
				copy(y, <-sums)
			})
		}()
	}
	for range 2 { // after o, and after down
		var all [2][]byte
		for i := range all {
			select {
			case all[i] = <-parts:
			case err := <-errs:
				require.NoError(t, err, "a rank ended before the all-reduce")
			}
		}
		sum := make([]byte, len(all[0]))
		for i := range len(sum) / in.Size() {
			in.Put(sum, i, in.At(all[0], i)+in.At(all[1], i))
		}
		sums <- sum
		sums <- sum
	}
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	require.Equal(t, ranks[0].Output(rows), ranks[1].Output(rows))
	return numbers(in, ranks[0].Output(rows))
}

func TestABlockThatDoesNotFitIsRefusedAndLeavesNothing(t *testing.T) {
	s := shape(0, 1)
	dev, err := bitlane.Open(t.Context(), "cpu", backend.OpenOptions{MemoryLimit: 100 << 10})
	require.NoError(t, err)
	weights, _, err := serving.Fits(t.Context(), dev, s, random)
	require.NoError(t, err)
	free, _, err := dev.Mem()
	require.NoError(t, err)
	require.Greater(t, weights, free, "the question is answered before anything is loaded")
	_, err = serving.Load(t.Context(), dev, s, random)
	require.ErrorIs(t, err, backend.ErrOutOfMemory)
	require.NoError(t, dev.Close(), "a failed load leaves nothing on the device")
}
