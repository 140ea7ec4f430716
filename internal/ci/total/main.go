// Command total prints what each part of the gate counted and, as its last
// line, the sum. Its exit status is 0 only when nothing failed and something
// passed.
package main

import (
	"fmt"
	"os"

	"github.com/bitlane/bitlane/internal/ci/counts"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: total FILE")
		os.Exit(2)
	}
	all, err := counts.Read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "total:", err)
		os.Exit(1)
	}
	for _, c := range all {
		fmt.Printf("%-24s %6.0f s  %v\n", c.Part, c.Seconds, c)
	}
	sum := counts.Sum(all)
	fmt.Println(sum)
	if sum.Failed > 0 || sum.Passed == 0 {
		os.Exit(1)
	}
}
