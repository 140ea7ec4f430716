// Package interop holds tests against the Python packages that write and read
// the same files, and do the same arithmetic: safetensors, compressed-tensors
// and torch. They are built with the tag interop and need the Python
// environment that make tools installs; make interop runs them.
//
// Everything is compared bit for bit. The scripts hold what the packages do,
// the tests what we make of it; no other code is here.
package interop
