// Command quickstart loads one layer of a checkpoint and applies it: the
// library in ten lines, with its errors handled.
//
//	go run ./examples/quickstart testdata/gptq-w4-g128 model.layers.0.mlp.down_proj
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: quickstart DIR LAYER")
	}
	if err := run(os.Stdout, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer, dir, name string) error {
	ctx := context.Background()
	model, err := checkpoint.Open(ctx, dir, checkpoint.Options{})
	if err != nil {
		return err
	}
	defer model.Close()
	var l quant.Linear // filled anew by each Load
	if _, err := model.Load(ctx, &l, name); err != nil {
		return err
	}

	dev, err := bitlane.Open(ctx, "auto", backend.OpenOptions{})
	if err != nil {
		return err
	}
	defer dev.Close()
	const rows = 2
	layer, report, err := bitlane.NewLinear(ctx, dev, &l, backend.Request{X: dtype.F16, MaxRows: rows}, bitlane.ChooseOptions{})
	if err != nil {
		return err // holds every kernel's reasons
	}
	defer layer.Close()
	for _, v := range report.Verdicts { // best first
		if v.Chosen {
			fmt.Fprintln(out, v)
		}
	}

	stream, err := dev.NewStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	n, k := l.Weight.N(), l.Weight.K()
	sizes := []int{rows * k * 2, rows * n * 2, layer.Workspace(rows)}
	var spans [3]backend.Span // x, y, workspace
	for i, bytes := range sizes {
		b, err := dev.Alloc(bytes)
		if err != nil {
			return err
		}
		defer b.Close()
		spans[i] = backend.Whole(b)
	}

	values := make([]float32, rows*k)
	for i := range values {
		values[i] = float32(i%7) - 3
	}
	bytes := make([]byte, sizes[0])
	dtype.Encode(dtype.F16, bytes, values)
	if err := stream.Upload(spans[0], bytes); err != nil {
		return err
	}
	x := backend.Dense(spans[0], dtype.F16, rows, k)
	y := backend.Dense(spans[1], dtype.F16, rows, n)
	if err := layer.Apply(stream, y, x, spans[2]); err != nil {
		return err
	}
	result := make([]byte, sizes[1])
	if err := stream.Download(result, spans[1]); err != nil {
		return err
	}
	fmt.Fprintf(out, "y is [%d, %d] and begins with %v\n", rows, n, dtype.F16.At(result, 0))
	return nil
}
