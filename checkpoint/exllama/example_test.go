package exllama_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint/exllama"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// A program that called
//
//	gptq_shuffle(qweight, g_idx, 4)
//	y = gptq_gemm(x, qweight, qzeros, scales, g_idx, true, false, 4)
//
// with tensors of its own gives the same tensors to a layer: of eight features
// in two groups of four, and eight outputs, the last four of which are nothing
// but zero points.
func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	const n, k, bits = 8, 8, 4

	// As they come from the file: row r of a column is nibble r of its word.
	qweight := words(
		0x88888889, // W[0] = s·[1 0 0 0  0 0 0 0]
		0xa8888888, // W[1] = s·[0 0 0 0  0 0 0 2]
		0x98888887, // W[2] = s·[−1 0 0 0  0 0 0 1]
		0x99999999, // W[3] = s·[1 1 1 1  1 1 1 1]
		0x88888888, 0x88888888, 0x88888888, 0x88888888,
	)
	qzeros := words(0x77777777, 0x77777777) // version 1 stores the zero point 8 as 7
	scales := make([]byte, 2*2*n)
	for i := range n {
		dtype.F16.Put(scales, i, 0.5) // features of group 0
		dtype.F16.Put(scales, n+i, 2) // features of group 1
	}
	gIdx := []int32{1, 0, 1, 0, 1, 0, 1, 0} // act-order: odd features are group 0
	perm := []int32{1, 3, 5, 7, 0, 2, 4, 6} // argsort of it, the operators' g_idx

	check(exllama.Shuffle(qweight, k, n, bits, perm)) // gptq_shuffle
	tensors := exllama.Tensors{N: n, K: k, Bits: bits, QWeight: qweight, QZeros: qzeros, Scales: scales, GIdx: perm, Shuffled: true}
	l := quant.Linear{Name: "down_proj"}
	check(tensors.Linear(&l))
	for feature, group := range gIdx {
		if l.Weight.Groups().Of(feature) != int(group) {
			log.Fatal("another group than the checkpoint's")
		}
	}

	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{})
	check(err)
	layer, _, err := bitlane.NewLinear(ctx, dev, &l, backend.Request{X: dtype.F16, MaxRows: 1}, bitlane.ChooseOptions{})
	check(err)
	stream, err := dev.NewStream()
	check(err)
	in, err := dev.Alloc(2 * k)
	check(err)
	out, err := dev.Alloc(2 * n)
	check(err)
	work, err := dev.Alloc(layer.Workspace(1))
	check(err)
	dtype.Encode(dtype.F16, in.Host(), []float32{1, 2, 3, 4, 5, 6, 7, 8})
	x, y := backend.Dense(backend.Whole(in), dtype.F16, 1, k), backend.Dense(backend.Whole(out), dtype.F16, 1, n)
	check(layer.Apply(stream, y, x, backend.Whole(work))) // gptq_gemm
	check(stream.Sync(ctx))

	var values [n]float32
	dtype.Decode(dtype.F16, values[:], out.Host()[:2*n])
	fmt.Println(values[0], "= 2·1")
	fmt.Println(values[1], "= 0.5·2·8")
	fmt.Println(values[2], "= −2·1 + 0.5·8")
	fmt.Println(values[3], "= 2·(1+3+5+7) + 0.5·(2+4+6+8)")
	fmt.Println(values[4:])

	for _, c := range []interface{ Close() error }{layer, in, out, work, stream, dev} {
		check(c.Close())
	}
	// Output:
	// 2 = 2·1
	// 8 = 0.5·2·8
	// 2 = −2·1 + 0.5·8
	// 42 = 2·(1+3+5+7) + 0.5·(2+4+6+8)
	// [0 0 0 0]
}

// words is a tensor of int32.
func words(w ...uint32) (b []byte) {
	for _, v := range w {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}
