package asm

func init() {
	rowTiers = append(rowTiers, rowTier{
		divide: RowDivideNEON, divideRound: RowDivideRoundNEON, asym: RowAsymNEON, groups: RowGroupsNEON, flat: RowFlatNEON,
		widen: RowWidenNEON, ends: RowEndsNEON, round: RowRoundNEON,
		gather16: RowGather16NEON, gather32: RowGather32NEON, product: RowProductNEON,
	})
}
