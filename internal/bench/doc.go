// Package bench times layers of the processor beside the limits of the same
// cores in the same second, and says of each figure how far it is from the
// limit that applies.
//
// # Samples
//
// A sample is at most 100 µs of one kind of work, or one Apply where that takes
// longer. Kinds take turns: the layer, the reading of memory, products from
// registers, the layer again. Before and after every sample all cores run a
// probe: a loop that keeps the load, multiply and integer ports busy from the
// first cache, and a chain of additions that counts cycles. A sample counts only
// if both probes beside it are, in cycles, within 3 % of the best of the trial: a neighbour
// on the same core and a pause in either make a probe slower. A lower clock does not
// count either, but beside instructions of 512 bits: for those many cores choose a clock
// of their own, and follow their heat. Probes have such instructions, too, then, the clocks
// before and after a sample must be within 15 % of each other, and those of a pair that
// is compared in seconds within 5 %. A long Apply
// can lose its CPU and have it back between probes: where the system tells how
// long the process's threads waited for one, 3 % of waiting drops a sample, too.
// How many samples did not count is reported. Only callers that are compared with
// one caller have longer samples: many of them take turns on few cores.
//
// A sample of a unit's peak counts only if it is also within 3 % of ports ×
// clock, the ports from the table in package peak. Where most do not, the limit
// is reported as unstable, and so is what was compared with it.
//
// # Figures
//
// A share of a limit is the median over pairs of one sample of the layer and
// the one of the limit next to it; of a unit's peak, in cycles. Times are the 10th and the 50th percentile.
// Bytes are those of codes, scales and zero points in the width that a
// checkpoint has them in, whatever a kernel pads; operations are 2·M·N·K. Weights are
// cold: copies take turns that are more than four last-level caches together, or
// as many as half of the free memory holds; a Cell says so. x is warm, as in a model that has
// just computed it. Threads are bound to one CPU each, of different cores.
//
// The package times and compares. It prints nothing; what it makes is a Report.
package bench
