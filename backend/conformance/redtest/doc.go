// Package redtest tests the conformance suite itself: every mutant in its tests
// is the processor's backend, which passes, with one behaviour changed, and the
// set of checks that fail for it must be exactly the set that its table names.
// A check that no mutant fails fails the tests: it would check nothing.
//
// A new check comes with a mutant. Nothing but these tests enters the package.
package redtest
