//go:build !linux

package bench

// smallPages returns memory in pages of the system's normal size, and what
// frees it.
func smallPages(bytes int) (mem []byte, free func() error, err error) {
	return make([]byte, bytes), func() error { return nil }, nil
}
