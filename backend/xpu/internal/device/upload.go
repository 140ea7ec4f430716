package device

import (
	"fmt"

	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// Upload copies a layer's weights to the device in a stream of its own. It is
// used by one goroutine.
type Upload struct {
	dev    *Device
	stream driver.Stream
}

// NewUpload returns an Upload.
func (d *Device) NewUpload() (*Upload, error) {
	s, err := d.engine.NewStream()
	if err != nil {
		return nil, d.check(fmt.Errorf("%s: upload of weights: %w", d.name(), err))
	}
	return &Upload{d, s}, nil
}

// Send copies src to dst and waits.
func (u *Upload) Send(dst driver.Ptr, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	return u.dev.check(u.stream.Upload(dst, src))
}

// Close ends it.
func (u *Upload) Close() error {
	return u.dev.check(u.stream.Close())
}
