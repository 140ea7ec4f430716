package hugepage

// obtain returns bytes > 0 of memory and the bytes to unmap.
func obtain(bytes int) (mem []byte, mapped int, err error) { return mapMemory(bytes, Align) }

// probe knows that the system gives programs no huge pages.
func probe() Pages { return Pages{Reason: "macOS gives programs no huge pages"} }
