package cpu

import (
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/internal/workers"
	"github.com/bitlane/bitlane/quant"
)

// Device is the open processor: host memory and a pool of threads. It may be
// embedded, with Bind, by a device that changes some of it. It is safe for use
// by several goroutines.
type Device struct {
	*hostmem.Device
	pool *workers.Pool
	fork float64 // forkTime; tests have others

	mu   sync.Mutex
	idle []*call // kept for later Applies, so that these allocate nothing
}

var _ backend.Grouper = (*Device)(nil)

// holder is met by a *Device and by everything that embeds one.
type holder interface{ processor() *Device }

func (d *Device) processor() *Device { return d }

// Close implements backend.Device and ends the threads.
func (d *Device) Close() error {
	if err := d.Device.Close(); err != nil {
		return err
	}
	d.pool.Close()
	return nil
}

// of returns the Device that dev is or embeds.
func of(dev backend.Device) (*Device, error) {
	if h, ok := dev.(holder); ok {
		return h.processor(), nil
	}
	if dev == nil {
		return nil, quant.Errorf(backend.ErrDevice, "device", "", "a cpu device", "nil")
	}
	return nil, quant.Errorf(backend.ErrDevice, dev.Info().String(), "", "a cpu device", "another backend's")
}

// borrow returns a call for one Apply; giveBack keeps it for the next one.
func (d *Device) borrow() *call {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		return c
	}
	return &call{job: workers.NewJob(), run: make([]kernelRun, d.pool.Threads())}
}

func (d *Device) giveBack(c *call) {
	clear(c.run) // they point to tensors, weights and workspaces that may be closed now
	clear(c.fronts)
	*c = call{job: c.job, run: c.run, portions: c.portions[:0], fronts: c.fronts[:0]}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle = append(d.idle, c)
}
