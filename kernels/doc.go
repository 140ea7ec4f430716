// Package kernels is the room of device code: for each GPU backend a folder
// with the kernels as source and as the built artefact that ships
// (kernels/cuda: *.cu and *.ptx; kernels/rocm: *.hip and code objects), and a
// Go file there that embeds the artefacts for the backend of the same name.
// A test rebuilds or disassembles each artefact and compares it with its
// source, so that neither changes alone.
//
// Kernels that run on the processor are not here but in backend/cpu. Nothing
// that launches, packs or plans enters this room.
package kernels
