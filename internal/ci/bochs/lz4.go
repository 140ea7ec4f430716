package main

import (
	"encoding/binary"
	"errors"
)

// lz4Magic begins the legacy LZ4 format, the one that Linux kernels use:
// blocks that know nothing of each other, each after its packed size.
var lz4Magic = []byte{0x02, 0x21, 0x4c, 0x18}

var errLZ4 = errors.New("damaged LZ4 data")

// unpackLZ4 unpacks data without its magic until size bytes are there.
func unpackLZ4(data []byte, size int) ([]byte, error) {
	out := make([]byte, 0, size)
	for len(out) < size {
		if len(data) < 4 {
			return nil, errLZ4
		}
		n := int(binary.LittleEndian.Uint32(data))
		data = data[4:]
		if n > len(data) {
			return nil, errLZ4
		}
		var err error
		if out, err = unpackBlock(out, data[:n], size); err != nil {
			return nil, err
		}
		data = data[n:]
	}
	return out, nil
}

// unpackBlock appends one block to out, which stays within limit bytes.
func unpackBlock(out, in []byte, limit int) ([]byte, error) {
	start := len(out)
	// length reads the bytes that a count of 15 is continued in.
	length := func(n int) (int, bool) {
		for n >= 15 {
			if len(in) == 0 {
				return 0, false
			}
			b := in[0]
			in = in[1:]
			if n += int(b); b != 255 {
				break
			}
		}
		return n, true
	}
	for len(in) > 0 {
		head := in[0]
		in = in[1:]
		literals, ok := length(int(head >> 4))
		if !ok || literals > len(in) || literals > limit-len(out) {
			return nil, errLZ4
		}
		out = append(out, in[:literals]...)
		if in = in[literals:]; len(in) == 0 {
			return out, nil // the last sequence of a block has no copy
		}
		if len(in) < 2 {
			return nil, errLZ4
		}
		back := int(binary.LittleEndian.Uint16(in))
		in = in[2:]
		n, ok := length(int(head & 15))
		n += 4
		if !ok || back == 0 || back > len(out)-start || n > limit-len(out) {
			return nil, errLZ4
		}
		for ; n > 0; n-- { // byte by byte: the copy may overlap itself
			out = append(out, out[len(out)-back])
		}
	}
	return nil, errLZ4
}
