package main

const amxCodesMaths = `
by int8 x, on tiles: see package asm for the layout and the sums.

Maths: TDPBSUD adds to each dword of a tile of sums, [16 rows][16 columns], four
products of signed bytes of x and unsigned codes for each line of a tile of weights,
TDPBSSD of signed ones. The sums are int32 without saturation, as in any other order.

A tile of weights is 16 lines of 8-bit codes as they lie in the panel, which is 64
features, or 8 lines, which is 32; one of x is 64 or 32 bytes of 16 rows each.
`

const amxPairsMaths = `
by bfloat16 x, on tiles: see package asm for the layout and the sums.

Maths: TDPBF16PS adds to each float of a tile of sums, [16 rows][16 columns], the
products of 16 pairs of bfloat16, the lower and the upper halves apart.

A tile of weights is 16 lines of pairs, which is 32 features; one of x is 64 bytes of
16 rows each. All segments end sums, and nothing corrects them.
`

// Heads of kernels.
const (
	amxHead      = amxCodesMaths + amxWalk
	amxPairsHead = amxPairsMaths + amxWalk

	amxPanelHead = amxPairs + `DI 64.`
	amxWayHead   = amxPairsSpare + `
	             weights [4 tiles][16 lines], unpacked
	             entries [tiles][segments]: scales [16] of float32, 64 bytes unused

` + amxRegisters + `DI 64; Z0 scales of the sums that are scaled, Z13
the table, Z14 a mask of codes and Z15 zero points. There is no next line, and segments are all of all
blocks: while a tile is unpacked, AX is where it is packed, R11 the way from line to line, R13 zero
points, R9 the way to what is fetched, and BX where it goes.`
	amxPlainHead = amxPairs + `DI the distance of lines in a tile of
weights, which is that of a block's segments, and R9 16 times that. Entries have scales
of 1. Additions of vectors, too, take subnormal numbers for 0, as tiles do.`
)

const amxWalk = `
A unit is 16 rows by 16 columns. Its float sums stay in registers while it goes through
all segments:

	for 16 rows:                          in turn i, at the same time:
	  for each tile of columns:             TMM(i mod 4)     = products of sum i
	    Z16 to Z31 = Y                      Call.Spare(i-1)  = TMM(i-1 mod 4)
	    for each integer sum: ...           Z16 to Z31      += Call.Spare(i-3), scaled
	    Y = Z16 to Z31

The processor has no other way from tiles to vectors than memory, and storing a tile
waits for products in the same one: hence four of them. What waits three turns is
there when it is loaded. A turn takes as long as what is in flight lets it, so that
there is little in it but that: scales and zeros of all segments are widened before.

What scales follows what multiplies three turns behind, through the same units.

Tiles of x and of sums take time by their rows: in a call of fewer than 16 they have as
many as there are. What Call.Spare has of the others is 0, and of the sums four or eight
rows are scaled where there are no more.

The call may name some segments of one block, each of which ends a sum: those that
with x of 16 rows stay in the first cache.
`

const amxCodes = `
A segment that ends no sum leaves its products in the tile. What it corrects is
added up in Call.Spare and joins the sums when these are scaled; turns of calls with
such segments say where their scales are.

	Call.Spare = sums [4 turns][16 rows][16 columns] of int32
	             corrections of segments that ended no sum, the same
	             unused, the same
	             configuration of tiles, 64 bytes
	             weights [4 tiles][16 lines], of DotW4AMX
	             entries [tiles][segments]: scales [16] of float32,
	                                        zeros [16] of uint8 as int32, or of pairs

` + amxRegisters + `DI 64, R11 Side of row 0 and R13 its step; Z0 scales and Z1 zeros of the
sums that are scaled, Z4 to Z15 those.`

const amxPairsSpare = `
	Call.Spare = sums [4 turns][16 rows][16 columns] of float32
	             unused, twice the same
	             configuration of tiles, 64 bytes`

const amxPairs = amxPairsSpare + `
	             unused, [4 tiles]
	             entries [tiles][segments]: scales [16] of float32, 64 bytes unused

` + amxRegisters + `R11 what is fetched next and R13 the way to another of that; Z0 scales
of the sums that are scaled;
`

const amxRegisters = `Registers: AX next line, CX bytes of a tile of weights, and of x, DX x, SI bytes from
row to row in a tile of x, BP Call.Spare, R10 segments left in the block, R14 Block, 0:
none is left; R12 entry and R15 sums left in the unit of what is scaled; R8, R9 and BX
are for a few instructions; TMM4 and TMM5 x, TMM6 and TMM7 weights;
`
