// Package ledger keeps the books of a device: what is alive on it, how much
// memory that is, whether the device is closed or lost, and the fault that a
// test has ordered. Every backend's device has one Book and no counts of its own.
//
// What may not enter: anything that allocates memory, or calls a driver.
package ledger

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// Book is the books of one device. It is safe for use by several goroutines.
type Book struct {
	name  string
	limit int64

	mu     sync.Mutex
	closed bool
	lost   error // the first error that will not go away
	alive  backend.Alive
	others map[string]int // alive as well: graphs and the like
	failIn int            // allocations that still succeed before the injected fault; -1: no fault
	allocs int            // since the last FailAlloc
}

// New returns the books of a device of that name, which may hold at most limit
// bytes; 0 and less: any number.
func New(name string, limit int64) *Book {
	return &Book{name: name, limit: max(limit, 0), others: map[string]int{}, failIn: -1}
}

// SetLimit changes the limit that New set, which what is alive may be above.
func (b *Book) SetLimit(limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = max(limit, 0)
}

// Limit returns the most bytes that the device may hold, 0 for any number, and
// how many are left of them.
func (b *Book) Limit() (limit, left int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.limit, max(0, b.limit-b.alive.Bytes)
}

// Usable returns why nothing can be done with the device any more: ErrClosed, or
// what Lose was first told.
func (b *Book) Usable() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.usable()
}

func (b *Book) usable() error {
	if b.closed {
		return quant.Errorf(backend.ErrClosed, b.name, "", "an open device", "closed")
	}
	return b.lost
}

// Lost returns what Lose was first told.
func (b *Book) Lost() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Lose notes that the device will not work any more, and returns the first
// reason that it was given.
func (b *Book) Lose(why error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost == nil {
		b.lost = why
	}
	return b.lost
}

// Admit counts an allocation of any kind that is about to be made, and is its
// error where the device cannot be used or the allocation is to fail; else it
// changes what is alive, so that the device is not closed while it is made. Who
// then fails undoes it with Count.
func (b *Book) Admit(what string, change func(*backend.Alive)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.admit(what); err != nil {
		return err
	}
	change(&b.alive)
	return nil
}

// AdmitOther is Admit for one of a kind that backend.Alive has no number for.
// CountOther undoes it.
func (b *Book) AdmitOther(what, kind string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.admit(what); err != nil {
		return err
	}
	b.others[kind]++
	return nil
}

func (b *Book) admit(what string) error {
	if err := b.usable(); err != nil {
		return err
	}
	b.allocs++
	if b.failIn < 0 {
		return nil
	}
	b.failIn--
	if b.failIn < 0 {
		return quant.Errorf(backend.ErrOutOfMemory, b.name, what, "", "made to fail")
	}
	return nil
}

// Take admits memory of so many bytes and counts it as a buffer. most is how
// many bytes the device can hold, beside the limit; 0: nobody knows. Drop undoes it.
func (b *Book) Take(what string, bytes, most int64) error {
	if bytes < 0 {
		return quant.Errorf(backend.ErrShape, b.name, what, "at least 0 bytes", "%d bytes", bytes)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.admit(what); err != nil {
		return err
	}
	if b.limit > 0 {
		most = b.limit
	}
	if left := most - b.alive.Bytes; most > 0 && bytes > left {
		return quant.Errorf(backend.ErrOutOfMemory, b.name, "free memory", fmt.Sprintf("%d bytes", bytes), "%d bytes", left)
	}
	b.alive.Buffers++
	b.alive.Bytes += bytes
	return nil
}

// Drop counts a buffer of so many bytes as gone.
func (b *Book) Drop(bytes int64) {
	b.Count(func(a *backend.Alive) { a.Buffers--; a.Bytes -= bytes })
}

// Add changes what is alive if the device can be used.
func (b *Book) Add(change func(*backend.Alive)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.usable(); err != nil {
		return err
	}
	change(&b.alive)
	return nil
}

// Count changes what is alive.
func (b *Book) Count(change func(*backend.Alive)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.alive)
}

// CountOther adds to what is alive of a kind that backend.Alive does not have,
// in the plural: "graphs".
func (b *Book) CountOther(kind string, more int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others[kind] += more
}

// Alive is backend.Counter's.
func (b *Book) Alive() backend.Alive {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.alive
}

// FailAlloc is backend.FaultInjector's.
func (b *Book) FailAlloc(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counted := b.allocs
	b.allocs, b.failIn = 0, max(n, -1)
	return counted
}

// Close closes the books; first says that nobody did before. ErrBusy, which
// closes nothing, says what is still alive.
func (b *Book) Close() (first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.alive
	open := fmt.Sprintf("%d layers, %d buffers, %d streams, %d events", a.Layers, a.Buffers, a.Streams, a.Events)
	busy := a.Layers + a.Buffers + a.Streams + a.Events
	for _, kind := range slices.Sorted(maps.Keys(b.others)) {
		if n := b.others[kind]; n > 0 {
			open += fmt.Sprintf(", %d %s", n, kind)
			busy += n
		}
	}
	if busy > 0 {
		return false, quant.Errorf(backend.ErrBusy, b.name, "", "all closed first", "%s still open", open)
	}
	first = !b.closed
	b.closed = true
	return first, nil
}
