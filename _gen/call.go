package main

// asmDir is the package of the kernels.
const asmDir = "backend/cpu/internal/asm"

// Offsets of the fields of asm.Call, in bytes. A test of that package compares
// them with the struct.
const (
	callW        = 0
	callWStep    = 8
	callX        = 16
	callXStep    = 24
	callBlocks   = 32
	callCount    = 40
	callSide     = 48
	callScales   = 56
	callSStep    = 64
	callY        = 72
	callYStep    = 80
	callForm     = 88
	callZero     = 96
	callAhead    = 104
	callNext     = 112
	callRows     = 120
	callSpare    = 128
	callSoon     = 136
	callSoonStep = 144
	callShare    = 152
	callTiles    = 160

	callTileBytes  = 168
	callFirst      = 176
	callSegments   = 184
	callPlaces     = 192
	callPlaceCount = 200
	callPace       = 208
)

// Offsets of the fields of asm.Block, and its size.
const (
	blockLines    = 0
	blockSegments = 4
	blockEnds     = 5
	blockFeatures = 6
	blockSize     = 8
)

// Offsets of the fields of asm.Spread, in bytes.
const (
	spreadPairs   = 0
	spreadFactors = 16
	spreadBits    = 32
)

// Values of Call.Form: two bits of the scales' type, two of the zero points.
const (
	formF32, formF16, formBF16         = 0, 1, 2
	formConstant, formBytes, formPairs = 0 << 2, 1 << 2, 2 << 2
	formScaleMask, formZeroMask        = 3, 3 << 2
)
