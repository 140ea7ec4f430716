package device

import (
	"errors"
	"fmt"

	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
)

// Upload copies pieces of a layer's weights to the device through page-locked
// memory, one while the next is made. It is used by one goroutine.
type Upload struct {
	dev    *Device
	stream driver.Stream
	halves [2][]byte
	copied [2]driver.Event
	next   int
}

// NewUpload returns an Upload of pieces of at most that many bytes.
func (d *Device) NewUpload(piece int) (_ *Upload, err error) {
	u := &Upload{dev: d}
	defer func() {
		if err != nil {
			err = d.check(errors.Join(fmt.Errorf("%s: upload of weights: %w", d.name(), err), u.Close()))
		}
	}()
	if u.stream, err = d.context.NewStream(); err != nil {
		return nil, err
	}
	for i := range u.halves {
		if u.halves[i], err = d.context.AllocHost(piece); err != nil {
			return nil, err
		}
		if u.copied[i], err = d.context.NewEvent(false); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// Next returns memory for a piece, when the copy out of it is done.
func (u *Upload) Next() ([]byte, error) {
	i := u.next % len(u.halves)
	if u.next >= len(u.halves) {
		if err := u.copied[i].Sync(); err != nil {
			return nil, u.dev.check(err)
		}
	}
	return u.halves[i], nil
}

// Send copies a piece, which is a part of what Next returned last from its
// beginning on, to dst.
func (u *Upload) Send(dst driver.Ptr, piece []byte) error {
	i := u.next % len(u.halves)
	u.next++
	if err := u.stream.UploadPinned(dst, piece); err != nil {
		return u.dev.check(err)
	}
	return u.dev.check(u.stream.Record(u.copied[i]))
}

// Whole copies Go memory to dst behind all pieces and waits.
func (u *Upload) Whole(dst driver.Ptr, src []byte) error {
	return u.dev.check(u.stream.Upload(dst, src))
}

// Close waits for all copies and frees the page-locked memory.
func (u *Upload) Close() error {
	var errs []error
	if u.stream != nil {
		errs = append(errs, u.stream.Sync(), u.stream.Close())
	}
	for i := range u.halves {
		if u.copied[i] != nil {
			errs = append(errs, u.copied[i].Close())
		}
		errs = append(errs, u.dev.context.FreeHost(u.halves[i]))
	}
	return u.dev.check(errors.Join(errs...))
}
