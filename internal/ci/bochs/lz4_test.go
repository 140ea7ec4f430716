package main

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// blocks puts the size before each block.
func blocks(all ...[]byte) (out []byte) {
	for _, b := range all {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(b)))
		out = append(out, b...)
	}
	return out
}

func TestUnpackLZ4(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 15+255+7)
	first := []byte{0x32, 'a', 'b', 'c', 3, 0, 0x10, '!'} // abc, 6 from 3 back; !
	second := append([]byte{0xf0, 255, 7}, long...)       // 277 literals
	third := []byte{0x1f, 'y', 1, 0, 255, 1, 0x00}        // y, 19+256 from 1 back; nothing
	want := "abcabcabc!" + string(long) + string(bytes.Repeat([]byte("y"), 276))
	got, err := unpackLZ4(blocks(first, second, third), len(want))
	require.NoError(t, err)
	require.Equal(t, want, string(got))

	all := blocks(first, second, third)
	for cut := range len(all) - 1 { // the last token has no effect on the output
		_, err := unpackLZ4(all[:cut], len(want))
		require.ErrorIs(t, err, errLZ4, "first %d bytes", cut)
	}
	for name, block := range map[string][]byte{
		"back beyond the block": {0x10, 'a', 2, 0, 0x00},
		"back by nothing":       {0x10, 'a', 0, 0, 0x00},
		"too many literals":     {0x50, 'a', 'b'},
		"more than the size":    {0x1f, 'a', 1, 0, 200, 0x00},
		"no distance":           {0x10, 'a', 1},
	} {
		_, err := unpackLZ4(blocks(block), 8)
		require.ErrorIs(t, err, errLZ4, name)
	}
	_, err = unpackLZ4(blocks(first, []byte{0x10, 'a', 2, 0, 0x00}), 20)
	require.ErrorIs(t, err, errLZ4, "blocks know nothing of each other")
}
