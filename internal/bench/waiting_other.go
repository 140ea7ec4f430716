//go:build !linux

package bench

// waiting is only known for Linux.
type waiting struct{}

func newWaiting() *waiting { return &waiting{} }

func (*waiting) seconds() float64 { return 0 }

func (*waiting) close() {}
