// Package reference is the judge: it computes what a quantized linear layer
// should give, in plain loops, and says which results of a kernel are within
// the error that the kernel states.
//
//	y[m][n] = Σ_k a[m][k] · w[n][k] + bias[n]      in float64
//
//	w[n][k] = s[n][g(k)] · (u[n][k] − z[n][g(k)])
//	a[m][k] = x[m][k]                               exact
//	        = sx[m][h(k)] · (code[m][k] − zero[m])  the quantizing recipes
//
// The quantizers run in the recipe's own types (float32 and the type of x),
// one function per recipe that reads like its row in docs/numerics.md; only
// the sum over k is float64. Everything is derived here a second time: this
// package has its own bit reader, its own widening of stored scales and its
// own quantizers, and calls none of those in package quant, which are tested
// against it. It imports quant for the shapes of its arguments and dtype for
// the rounding to an element type.
//
// No kernel, no device and no vectorised code enters this package. Speed
// matters only so far that a layer of 4096 × 14336 can be judged in seconds.
package reference
