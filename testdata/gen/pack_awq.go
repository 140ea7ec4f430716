package main

// packInterleaved packs each eight values into a word, in AWQ's order.
func packInterleaved(values []int) []uint32 {
	var words []uint32
	for i := 0; i < len(values); i += 8 {
		v := values[i : i+8]
		words = append(words, packBits([]int{v[0], v[2], v[4], v[6], v[1], v[3], v[5], v[7]}, 4)[0])
	}
	return words
}

// awqGEMM adds the tensors of l in AWQ's layout gemm.
func (l *layer) awqGEMM(ts *tensors, withZeros bool, modelType string) {
	var qweight, qzeros []uint32
	var scales []float64
	for k := range l.k {
		row := make([]int, l.n)
		for n := range row {
			row[n] = int(l.codes[n*l.k+k])
		}
		qweight = append(qweight, packInterleaved(row)...)
	}
	for g := range l.groups {
		row := make([]int, l.n)
		for n := range row {
			row[n] = int(l.zeros[n*l.groups+g])
			scales = append(scales, l.scales[n*l.groups+g])
		}
		qzeros = append(qzeros, packInterleaved(row)...)
	}
	ts.add(
		ints(l.name+".qweight", "I32", qweight, l.k, l.n/8),
		floats(l.name+".scales", l.scaleType, scales, l.groups, l.n),
	)
	if withZeros {
		ts.add(ints(l.name+".qzeros", "I32", qzeros, l.groups, l.n/8))
	}
	l.addBias(ts, modelType)
}

// padded is how many groups a layout has room for that pads words of eight of
// them to a multiple.
func (l *layer) padded(multiple int) int {
	return (l.groups + 8*multiple - 1) / (8 * multiple) * 8 * multiple
}

// awqGEMV adds the tensors of l in AWQ's layout gemv.
func (l *layer) awqGEMV(ts *tensors, multiple int, modelType string) {
	wide := l.padded(multiple)
	var qweight, qzeros []uint32
	scales := make([]float64, l.n*wide)
	for n := range l.n {
		row, zeros := make([]int, l.k), make([]int, wide)
		for k := range row {
			row[k] = int(l.codes[n*l.k+k])
		}
		for g := range l.groups {
			zeros[g] = int(l.zeros[n*l.groups+g])
			scales[n*wide+g] = l.scales[n*l.groups+g]
		}
		qweight = append(qweight, packBits(row, 4)...)
		qzeros = append(qzeros, packBits(zeros, 4)...)
	}
	ts.add(
		ints(l.name+".qweight", "I32", qweight, l.n, l.k/8),
		ints(l.name+".qzeros", "I32", qzeros, l.n, wide/8),
		floats(l.name+".scales", l.scaleType, scales, l.n, wide),
	)
	l.addBias(ts, modelType)
}

// awqFast adds the tensors of l in AWQ's layout gemv_fast. The values of four
// rows, 64 of each, make 64 numbers of 16 bits; before, each 32 are dealt out
// in pairs to four hands, and of each hand the even ones come first.
func (l *layer) awqFast(ts *tensors, multiple int, zerosName, modelType string) {
	var qweight []int
	for n := 0; n < l.n; n += 4 {
		for k := 0; k < l.k; k += 64 {
			var run []int
			for i := range 4 {
				for half := range 2 {
					var hands [4][]int
					for p := range 16 {
						at := (n+i)*l.k + k + 32*half + 2*p
						hands[p%4] = append(hands[p%4], int(l.codes[at]), int(l.codes[at+1]))
					}
					for _, h := range hands {
						run = append(run, h[0], h[2], h[4], h[6], h[1], h[3], h[5], h[7])
					}
				}
			}
			for i := 0; i < len(run); i += 4 {
				qweight = append(qweight, int(packBits(run[i:i+4], 4)[0]))
			}
		}
	}
	wide := l.padded(multiple)
	scales, zeros := make([]float64, wide*l.n), make([]float64, wide*l.n)
	for g := range l.groups {
		for n := range l.n {
			s, z := l.scales[n*l.groups+g], l.zeros[n*l.groups+g]
			scales[g*l.n+n], zeros[g*l.n+n] = s, float64(-s*float64(z))
		}
	}
	ts.add(
		ints(l.name+".qweight", "I16", qweight, l.n/4, l.k),
		floats(l.name+"."+zerosName, l.scaleType, zeros, wide, l.n),
		floats(l.name+".scales", l.scaleType, scales, wide, l.n),
	)
	l.addBias(ts, modelType)
}
