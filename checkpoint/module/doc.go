// Package module is what the readers of quantized checkpoints share: how a
// format describes its modules, how it reports what it does not read and what
// looks wrong, the buffers that go from one load to the next, and the small
// readers that several formats need (JSON objects with exact keys, Python-style
// module patterns, biases, natural order of names).
//
// Nothing that belongs to one format, and nothing that knows a kernel or a
// device, enters this package.
package module
