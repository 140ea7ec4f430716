// Package vendorlib is what the backends of vendor libraries have in common
// while they have no kernels: a registered name and the reason why there is no
// device, one of three that a user must be able to tell apart:
//
//	not built in         backend.ErrNotBuilt, with the build tag to add
//	no driver            backend.ErrNoDevice, with the loader's own text
//	not implemented yet  backend.ErrNotImplemented, the library is there
//
// Looking for a library is package dl, which only tagged builds import: a
// build without tags links no dynamic loader.
package vendorlib
