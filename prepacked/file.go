package prepacked

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// A file of packed weights, little-endian:
//
//	0      24 bytes  magic
//	24     8 bytes   size of the weights
//	32     4 bytes   CRC-32C of the checksums behind the weights
//	36     4 bytes   length of the identity
//	40     …         identity: key, kernel and packing, for people and against files that were moved
//	4092   4 bytes   CRC-32C of what is before it
//	4096   …         weights
//	…      4 bytes   for each piece of the weights, its CRC-32C
const (
	fileVersion = 1
	pageBytes   = 4096
	piece       = backend.PackedPiece
)

var magic = [24]byte([]byte("bitlane packed weights 1"))

// damage is what is wrong with a file that was kept. It is of class quant.ErrFormat.
func damage(path, field, expected, found string, args ...any) error {
	return quant.Errorf(quant.ErrFormat, path, field, expected, found, args...)
}

// save writes the weights of l.
func (c *Cache) save(ctx context.Context, path, identity string, l backend.Keeper) error {
	size := l.PackedSize()
	return c.write(path, func(f *os.File) error {
		w := &summing{f: f, at: pageBytes}
		if err := l.WritePacked(ctx, w); err != nil {
			return err
		}
		if w.at-pageBytes != size {
			return damage(path, "packed weights", fmt.Sprintf("%d bytes", size), "%d", w.at-pageBytes)
		}
		table := w.table()
		if _, err := f.WriteAt(table, w.at); err != nil {
			return err
		}
		page, err := header(size, table, identity)
		if err == nil {
			_, err = f.WriteAt(page, 0)
		}
		return err
	})
}

func header(size int64, table []byte, identity string) ([]byte, error) {
	page := make([]byte, pageBytes)
	copy(page, magic[:])
	binary.LittleEndian.PutUint64(page[24:], uint64(size))
	binary.LittleEndian.PutUint32(page[32:], crc32.Checksum(table, castagnoli))
	binary.LittleEndian.PutUint32(page[36:], uint32(len(identity)))
	if 40+len(identity) > pageBytes-4 {
		return nil, damage(identity[:40]+"…", "identity", fmt.Sprintf("at most %d bytes", pageBytes-44), "%d", len(identity))
	}
	copy(page[40:], identity)
	binary.LittleEndian.PutUint32(page[pageBytes-4:], crc32.Checksum(page[:pageBytes-4], castagnoli))
	return page, nil
}

// summing writes behind the page and sums each piece.
type summing struct {
	f    *os.File
	at   int64
	crc  uint32 // of the piece that is begun
	in   int    // bytes of it
	sums []uint32
}

func (w *summing) Write(p []byte) (int, error) {
	n, err := w.f.WriteAt(p, w.at)
	w.at += int64(n)
	for p = p[:n]; len(p) > 0; {
		part := p[:min(len(p), piece-w.in)]
		w.crc = crc32.Update(w.crc, castagnoli, part)
		if w.in += len(part); w.in == piece {
			w.sums, w.crc, w.in = append(w.sums, w.crc), 0, 0
		}
		p = p[len(part):]
	}
	return n, err
}

func (w *summing) table() []byte {
	if w.in > 0 {
		w.sums, w.crc, w.in = append(w.sums, w.crc), 0, 0
	}
	b := make([]byte, 0, 4*len(w.sums))
	for _, sum := range w.sums {
		b = binary.LittleEndian.AppendUint32(b, sum)
	}
	return b
}

// file is kept weights that are being read. It implements backend.Packed.
type file struct {
	f     *os.File
	path  string
	size  int64
	table []byte
}

var _ backend.Packed = (*file)(nil)

// open returns the file at path, its page and its table verified.
func open(path, identity string) (_ *file, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var page [pageBytes]byte
	if _, err := io.ReadFull(f, page[:]); err != nil {
		return nil, damage(path, "header", fmt.Sprintf("%d bytes", pageBytes), "%d: %v", info.Size(), err)
	}
	if !bytes.Equal(page[:len(magic)], magic[:]) || binary.LittleEndian.Uint32(page[pageBytes-4:]) != crc32.Checksum(page[:pageBytes-4], castagnoli) {
		return nil, damage(path, "header", "that of packed weights with its checksum", "another")
	}
	length := binary.LittleEndian.Uint32(page[36:])
	if length > pageBytes-44 || string(page[40:40+length]) != identity {
		return nil, damage(path, "identity", identity, "another: the file was moved")
	}
	size := int64(binary.LittleEndian.Uint64(page[24:]))
	pieces := size / piece
	if size%piece > 0 {
		pieces++
	}
	if size < 0 || size > info.Size() || info.Size() != pageBytes+size+4*pieces {
		return nil, damage(path, "size", fmt.Sprintf("%d bytes of weights, %d of checksums and a page", size, 4*pieces), "%d", info.Size())
	}
	table := make([]byte, 4*pieces)
	if _, err := f.ReadAt(table, pageBytes+size); err != nil {
		return nil, damage(path, "checksums", "them all", "%v", err)
	}
	if crc32.Checksum(table, castagnoli) != binary.LittleEndian.Uint32(page[32:]) {
		return nil, damage(path, "checksums", "those that were written", "others")
	}
	return &file{f, path, size, table}, nil
}

// Size implements backend.Packed.
func (f *file) Size() int64 { return f.size }

// ReadAt implements backend.Packed: what it gives was verified.
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || off > f.size {
		return 0, fmt.Errorf("%s: read at %d of %d bytes: %w", f.path, off, f.size, os.ErrInvalid)
	}
	var spare []byte
	for n < len(p) && off < f.size {
		start := off / piece * piece
		whole := min(piece, f.size-start)
		if off == start && int64(len(p)-n) >= whole {
			if err := f.piece(p[n:][:whole], start); err != nil {
				return n, err
			}
			n, off = n+int(whole), off+whole
			continue
		}
		if spare == nil {
			spare = make([]byte, min(piece, f.size))
		}
		if err := f.piece(spare[:whole], start); err != nil {
			return n, err
		}
		part := copy(p[n:], spare[off-start:whole])
		n, off = n+part, off+int64(part)
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// piece reads the piece at start into p and verifies it.
func (f *file) piece(p []byte, start int64) error {
	if _, err := f.f.ReadAt(p, pageBytes+start); err != nil && !errors.Is(err, io.EOF) {
		return damage(f.path, fmt.Sprintf("bytes from %d on", start), "what was written", "%v", err)
	}
	want := binary.LittleEndian.Uint32(f.table[4*(start/piece):])
	if got := crc32.Checksum(p, castagnoli); got != want {
		return damage(f.path, fmt.Sprintf("checksum of %d bytes from %d on", len(p), start), fmt.Sprintf("%08x", want), "%08x", got)
	}
	return nil
}

func (f *file) Close() error { return f.f.Close() }
