// Package conformance is the public test suite for backends: any
// implementation of package backend, one written by a user too, is held to the
// contract's rules by it. docs/writing-a-backend.md shows one from start to end.
//
// In a test:
//
//	func TestConformance(t *testing.T) {
//		conformance.Test(t, conformance.Target{Backend: mine.Backend{}}, conformance.Options{})
//	}
//
// and outside of go test, as the program's conformance command does it:
//
//	report := conformance.Run(ctx, conformance.Target{Backend: b}, conformance.Options{})
//	fmt.Print(report.Table())
//	return report.Err()
//
// Every check has a stable name and a sentence, its rule, that says what is
// broken when it fails. A check passes, fails with the cells that failed (kernel,
// scheme, sizes, types, seed), or is skipped with the reason: an optional
// interface that the backend does not have, or cells that every kernel refused.
// A kernel may refuse much, but not all: the checks of the floor must pass, and
// neither Options.Skip nor refusals take one of them away. When the context of
// Run ends, what has not come to its end is not run: neither passed nor failed.
//
// The suite builds its layers from random codes and judges with quant/reference.
// It reads and writes device memory by Upload and Download only, so that it
// runs on memory that the host does not see. A panic of the backend in a call
// of the suite, or a hang, is a failure of the check that met it; a panic in a
// goroutine of the backend's own cannot be caught. A failure is never a false
// alarm; a pass is no proof. Run it with -race as well.
//
// No knowledge of any particular backend enters this package.
package conformance
