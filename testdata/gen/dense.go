package main

import "fmt"

// denseSettings are the settings, beside 4 bits in groups of 128, whose result
// on load is written down; it stands under <layer>.w<bits>g<size>.
var denseSettings = []struct{ bits, size int }{{4, -1}, {8, 128}, {8, 32}, {8, -1}}

// denseCheckpoint is a model that nobody quantized, bfloat16.
func denseCheckpoint() folder {
	var ts, want tensors
	for _, s := range []struct {
		name string
		n, k int
	}{{block + "self_attn.q_proj", 64, 256}, {block + "mlp.up_proj", 48, 256}, {block + "mlp.down_proj", 64, 384}} {
		w := drawPlain("dense"+s.name, "BF16", s.n*s.k, 0.05)
		clear(w[:128]) // a group of zeros has scale 0
		ts.add(floats(s.name+".weight", "BF16", w, s.n, s.k))
		for _, set := range denseSettings {
			quantizeOnLoad(s.name, "BF16", w, s.n, s.k, set.bits, set.size).expectWeights(&want, fmt.Sprintf("%s.w%dg%d", s.name, set.bits, set.size))
		}
		quantizeOnLoad(s.name, "BF16", w, s.n, s.k, 4, 128).expect(&want, "BF16", false, "exact")
	}
	router := drawPlain("dense router", "BF16", 4*256, 0.05) // routers stay plain
	ts.add(floats(block+"mlp.gate.weight", "BF16", router, 4, 256))
	expectPlain(&want, block+"mlp.gate", "BF16", router, 4, 256)
	addCommon(&ts, &want, "dense", "BF16", 256, 16)
	f := folder{"model.safetensors": ts.file(), "expected.safetensors": want.file()}
	f.text("config.json", modelConfig("BF16", 256, 384, 16, ""))
	return f
}
