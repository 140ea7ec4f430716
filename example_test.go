package bitlane_test

import (
	"context"
	"fmt"
	"log"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// A layer of two outputs and four features, quantized here instead of read from
// a checkpoint, runs on the processor.
func Example() {
	ctx := context.Background()
	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}

	l := quant.Linear{Name: "down_proj"}
	if err := l.Weight.Reset(quant.Form{N: 2, K: 4, Bits: 4, Scales: dtype.F32, Groups: quant.OneGroup(4)}); err != nil {
		log.Fatal(err)
	}
	l.Weight.PackRow(0, []uint8{9, 8, 8, 8}) // codes; the zero point is 8
	l.Weight.PackRow(1, []uint8{8, 10, 8, 7})
	l.Weight.SetScale(0, 0, 1)
	l.Weight.SetScale(1, 0, 0.5)

	layer, report, err := bitlane.NewLinear(ctx, dev, &l, backend.Request{X: dtype.F32, MaxRows: 1}, bitlane.ChooseOptions{})
	if err != nil {
		log.Fatal(err) // the error holds every kernel's reasons
	}
	for _, v := range report.Verdicts { // best first; which one it is depends on the processor
		if v.Chosen {
			fmt.Println("a kernel for", v.Kernel[:len("cpu")])
		}
	}

	stream, _ := dev.NewStream()
	in, _ := dev.Alloc(4 * 4)
	out, _ := dev.Alloc(2 * 4)
	work, _ := dev.Alloc(layer.Workspace(1))
	x := backend.Dense(backend.Whole(in), dtype.F32, 1, 4)
	y := backend.Dense(backend.Whole(out), dtype.F32, 1, 2)
	dtype.Encode(dtype.F32, in.Host(), []float32{3, 5, 7, 9})
	if err := layer.Apply(stream, y, x, backend.Whole(work)); err != nil {
		log.Fatal(err)
	}
	if err := stream.Sync(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(dtype.F32.At(out.Host(), 0), dtype.F32.At(out.Host(), 1))

	for _, c := range []interface{ Close() error }{layer, in, out, work, stream, dev} {
		if err := c.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// a kernel for cpu
	// 3 0.5
}
