// Package dl finds shared libraries at run time, without cgo. Only files behind
// a build tag of a vendor's backend may import it.
package dl
