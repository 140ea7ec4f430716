//go:build !amd64

package rows

import (
	"unsafe"

	"github.com/bitlane/bitlane/dtype"
)

func hasAVX512() bool { return false }

// These are never called.
func (p *Plan) fastTiles(*Parted, []byte, []byte, *Halves, float32) uint32 { return 0 }

func tilesAVX512(*Parted, unsafe.Pointer, dtype.DType, int, int, *Halves, float32) uint32 { return 0 }

func partsAVX512([]float32, int, int, int, float32) uint32 { return 0 }
