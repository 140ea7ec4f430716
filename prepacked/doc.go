// Package prepacked keeps the packed weights of layers in a directory, so that
// a program that starts again reads them at the speed of its disk instead of
// decoding and packing a checkpoint anew.
//
//	cache, err := prepacked.Open("/var/cache/bitlane")
//	layer, report, err := cache.NewLinear(ctx, dev, model, prepacked.Part{Name: "model.layers.0.mlp.up_proj"},
//		backend.Request{X: dtype.BF16, MaxRows: 256}, bitlane.ChooseOptions{})
//
// takes the place of model.Load, Select or Shard, and bitlane.NewLinear.
//
// # What is kept
//
//	tensors/ab/cd…                    the SHA-256 of a tensor, by where its file is, its size and times
//	layers/ab/cd….facts               the Spec of a part of a layer, and what its reader found odd
//	layers/ab/cd….KERNEL.PACKING      its packed weights
//
// A layer is known by its content: the SHA-256 of the tensors that it is read from, the settings
// that they are read with, the part, and the version of bitlane. So a copied
// model finds what was kept, and one that was changed does not. Only Linux and macOS tell
// when a file was changed; elsewhere tensors are read and summed at every start. Kernels are chosen
// anew each time, from the Spec; nothing is decided by what happens to be kept.
//
// # What is promised
//
// Everything that is read is verified by checksums, and what is damaged is packed
// anew: a Report says so. They guard against disks and half-written files and not against
// people: who can write to the directory decides what a layer computes.
// Files appear whole, by renaming, so that any number of processes may use one directory;
// they are not synced to the disk, since a damaged one is found out. A
// full or unwritable disk costs the copy, not the layer.
//
// What may not enter: kernels and file formats of checkpoints.
package prepacked
