// Package topology says which logical CPUs the process may use, to which
// memory nodes they belong, and how much processor time its control group
// grants it.
//
// Everything comes from the affinity masks of the process and from files of
// Linux, read through an fs.FS so that a test can lay out a machine that it
// does not run on. Elsewhere the machine is one node of runtime.NumCPU CPUs
// without a quota. Nothing is remembered: each call looks again.
//
// Nothing about threads or work enters this package.
package topology
