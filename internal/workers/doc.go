// Package workers is a pool of goroutines for the parallel loops of a CPU
// backend: a loop (a Run) is cut into chunks, which the caller and the workers
// claim one by one.
//
// # Rules
//
// The caller takes part, claims chunks as long as there are any and then waits
// for those alone that somebody else has begun: a worker that is asleep, busy
// elsewhere or not scheduled by the machine costs nothing. A loop allocates
// nothing, several callers may run loops at once, and which goroutine runs a
// chunk must not matter to its result. Chunks must not wait for each other:
// nobody promises that two of them run at the same time.
//
// # Life of a worker
//
// New starts Threads−1 workers. Each goes through these states until Close:
//
//	resting   it spins on one word, which every Run changes
//	working   it has joined a Run that has a seat and chunks left, and claims
//	          chunks until there are none; then it looks for another Run, and
//	          rests if there is none
//	parked    it sleeps, and costs nothing
//
// A resting worker parks
//   - when it has had no chunk for Options.Spin;
//   - at once, if the workers that are awake leave no processor for a caller:
//     at most one less than GOMAXPROCS and than the logical CPUs of the process
//     are awake without work. So nothing spins with GOMAXPROCS=1;
//   - when goroutines of the program wait for a processor. It lets one of them
//     run first, and parks if more wait.
//
// A Run finds resting workers without doing anything for them. If it finds too
// few awake for the goroutines it may use, it wakes one, which wakes two more
// that are wanted, and so on, but never more than there are processors without
// a caller in a Run. On a machine where to wake a thread takes 50 µs the first
// Runs after a longer pause are therefore done mostly by their caller.
//
// A caller that has no chunk left to claim spins for those begun elsewhere, up
// to 50 µs and only while no goroutine waits for a processor, and then blocks.
// After Close Runs are done by their callers alone.
//
// # Threads
//
// By default there are as many threads as GOMAXPROCS, the logical CPUs of the
// process and its quota of processor time allow, the caller being one of them.
// A quota that other goroutines share is also used up by spinning: with a tight
// one set Options.Spin.
//
// A worker that is not bound is an ordinary goroutine. It is not locked to a
// thread: that keeps no thread on its CPU, while the Go scheduler interrupts a
// locked goroutine every 10 ms and at every garbage collection at the price of
// two switches of threads. A worker that is bound is locked to its thread,
// which ends with it.
//
// Workers are bound in three cases, callers never:
//   - Options.CPUs has at least Threads CPUs: each worker to one of them, in
//     their order, the first being left for the caller, who may bind itself;
//   - Options.CPUs has fewer: all workers to all of them;
//   - the process may use several memory nodes: each to the CPUs of its node.
//
// Else the kernel spreads them. It tends to wake a thread on the CPU of the one
// that wakes it; a worker that spins is then moved to a free CPU within some
// 0.2 ms, which one that sleeps between Runs never is. Where CPUs are scarce
// because other processes run, binding helps, and harms if they sit on the same
// ones.
//
// # Shares
//
// The chunks of a Run, or of each of its parts, are cut into one contiguous
// share for each thread of the pool, or for some threads of a node where there
// are more than 16; those of a memory node are beside each other. A thread
// claims from its own share first, in order, and helps with others afterwards,
// those of its node before the rest. Chunks beside each other mostly read memory
// beside each other, so that a thread reads one stream or few, and weights that
// a Run packs, and that are placed on the node of the thread that touches them
// first, are read on that node by later Runs over the same parts.
//
// Nothing about tensors or numerics enters this package.
package workers
