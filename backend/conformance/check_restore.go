package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bitlane/bitlane/backend"
)

func restoreChecks() []check {
	return []check{
		{Info{"restore", "Packed weights that a layer wrote make a layer with the same bits of y; bytes of another size are ErrFormat, errors of reading are passed on, and nothing is left behind; a closed layer writes no packed weights.", false}, checkRestore},
	}
}

func checkRestore(r *rig) {
	restores := 0
	r.samples(func(s *subject) {
		k, ok := s.kernel.(backend.Restorer)
		if !ok {
			return
		}
		restores++
		keeper, ok := s.layer.(backend.Keeper)
		if !ok {
			r.fail(s, "the kernel restores layers, but %T does not show its packed weights", s.layer)
			return
		}
		r.checkPacking(s, k)
		if packed := r.packedOf(s, keeper); packed != nil {
			r.checkRestored(s, k, packed)
			r.checkBadPacked(s, k, packed)
		}
	})
	if restores == 0 {
		r.skip("no kernel implements backend.Restorer")
	}
}

// checkPacking: the name depends on what is packed, and on nothing else of a Spec.
func (r *rig) checkPacking(s *subject, k backend.Restorer) {
	name, other := k.Packing(r.info, s.spec), s.spec
	other.MaxRows++
	if again := k.Packing(r.info, other); name != again {
		r.fail(s, "Packing is %q, and %q for another MaxRows", name, again)
	}
	outside := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./=", c)
	}
	if name == "" || strings.ContainsFunc(name, outside) {
		r.fail(s, "Packing is %q, want letters, digits and -_./=", name)
	}
}

// packedOf is what the layer writes, twice the same; nil for a failure.
func (r *rig) packedOf(s *subject, l backend.Keeper) []byte {
	var first, second bytes.Buffer
	if err := errors.Join(l.WritePacked(r.ctx, &first), l.WritePacked(r.ctx, &second)); err != nil {
		r.fail(s, "WritePacked: %v", err)
		return nil
	}
	if int64(first.Len()) != l.PackedSize() || !bytes.Equal(first.Bytes(), second.Bytes()) {
		r.fail(s, "WritePacked wrote %d and %d bytes, want the same %d twice", first.Len(), second.Len(), l.PackedSize())
		return nil
	}
	short := &shortWriter{left: first.Len() / 2}
	r.wantErr(s, "WritePacked to a full disk", l.WritePacked(r.ctx, short), errDiskFull)
	ended, cancel := context.WithCancel(r.ctx)
	cancel()
	r.wantErr(s, "WritePacked with an ended context", l.WritePacked(ended, io.Discard), context.Canceled)
	return first.Bytes()
}

func (r *rig) checkRestored(s *subject, k backend.Restorer, packed []byte) {
	l, err := k.Restore(r.ctx, r.dev, s.spec, inMemory(packed))
	if err != nil {
		r.fail(s, "Restore: %v", err)
		return
	}
	defer r.checkClosedKeeper(s, l)
	spec := l.Spec()
	if !spec.Equal(&s.spec) || l.Bytes() != s.layer.Bytes() || l.Workspace(s.spec.MaxRows) != s.layer.Workspace(s.spec.MaxRows) {
		r.fail(s, "a restored layer has another Spec, or %d bytes and a workspace of %d, want %d and %d", l.Bytes(), l.Workspace(s.spec.MaxRows), s.layer.Bytes(), s.layer.Workspace(s.spec.MaxRows))
	}
	c := call{m: s.m, x: s.input(s.linear, s.m)}
	want, err := r.apply(s.layer, c)
	r.must(err, "the layer that was packed")
	got, err := r.apply(l, c)
	if err != nil {
		r.fail(s, "a restored layer: %v", err)
		return
	}
	r.sameBits(s, "y of a restored layer", got.bits, want.bits)
	var again bytes.Buffer
	keeper, ok := l.(backend.Keeper)
	if !ok || keeper.WritePacked(r.ctx, &again) != nil || !bytes.Equal(again.Bytes(), packed) {
		r.fail(s, "a restored layer does not write the bytes that it was made of")
	}
}

// checkClosedKeeper closes a layer, which then has no packed weights to write.
func (r *rig) checkClosedKeeper(s *subject, l backend.Layer) {
	r.wantNil(s, "Close of a restored layer", l.Close())
	if k, ok := l.(backend.Keeper); ok {
		r.wantErr(s, "WritePacked of a closed layer", k.WritePacked(r.ctx, io.Discard), backend.ErrClosed)
	}
}

// checkBadPacked: what cannot be restored fails and leaves nothing.
func (r *rig) checkBadPacked(s *subject, k backend.Restorer, packed []byte) {
	counter, counts := r.dev.(backend.Counter)
	var before backend.Alive
	if counts {
		before = counter.Alive()
	}
	try := func(what string, ctx context.Context, p backend.Packed, class error) {
		l, err := k.Restore(ctx, r.dev, s.spec, p)
		if err == nil {
			_ = l.Close()
		}
		r.wantErr(s, what, err, class)
		if counts && counter.Alive() != before {
			r.fail(s, "%s left %+v alive, before it there was %+v", what, counter.Alive(), before)
		}
	}
	try("Restore of a byte less", r.ctx, inMemory(packed[:len(packed)-1]), backend.ErrFormat)
	try("Restore of a byte more", r.ctx, inMemory(append(bytes.Clone(packed), 0)), backend.ErrFormat)
	try("Restore of nothing", r.ctx, inMemory(nil), backend.ErrFormat)
	try("Restore of what cannot be read", r.ctx, &unreadable{inMemory(packed)}, errUnreadable)
	ended, cancel := context.WithCancel(r.ctx)
	cancel()
	try("Restore with an ended context", ended, inMemory(packed), context.Canceled)
}

// packedBytes is packed weights in memory.
type packedBytes struct{ *bytes.Reader }

func inMemory(b []byte) backend.Packed { return packedBytes{bytes.NewReader(b)} }

var (
	errUnreadable = errors.New("a disk that cannot be read")
	errDiskFull   = fmt.Errorf("a disk that is full: %w", io.ErrShortWrite)
)

// unreadable fails at the end.
type unreadable struct{ backend.Packed }

func (u *unreadable) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) == u.Size() {
		return 0, errUnreadable
	}
	return u.Packed.ReadAt(p, off)
}

// shortWriter takes left bytes and no more.
type shortWriter struct{ left int }

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errDiskFull
	}
	w.left -= len(p)
	return len(p), nil
}
