// Package device is the contract's device, memory, streams, events and the
// lifetime of layers over a oneDNN of package driver. It knows no kernels:
// those come with the Backend's table.
//
// oneDNN's calls run on the caller's thread, under a lock for each stream. A
// layer has what a stream needs of it (memory objects whose handles each call
// sets) once for each stream that it was applied on, so that concurrent Applies
// never meet.
//
// oneDNN knows no events: one is the stream that it was recorded in, and who
// waits for it waits on the host until that stream is done.
//
// A failure of the run-time under oneDNN is kept: from then on every use of the
// device is backend.ErrDeviceLost with the first failure's text.
package device
