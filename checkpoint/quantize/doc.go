// Package quantize writes a quantized model directory from a plain one.
//
//	report, err := quantize.Model(ctx, "model", "model-w4", quantize.Options{Format: quantize.GPTQ, Settings: quantize.Settings{Bits: 4, Group: 128}})
//
// It decides what is quantized and how (plan), writes the tensors layer by layer in
// bounded memory (write), and everything else as it is (files). How a format packs its
// tensors and words its configuration is that format's package's business; how
// numbers are quantized is package quant's.
//
// The new directory appears whole or not at all: it is made beside its place under
// another name, opened again as a reader would, and renamed.
package quantize
