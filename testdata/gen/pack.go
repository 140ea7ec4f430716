package main

// packBits lays values of bits bits each one after the other, lowest bit
// first, and cuts the stream into 32-bit words; the last word is padded with
// zero bits.
func packBits(values []int, bits int) []uint32 {
	words := make([]uint32, (len(values)*bits+31)/32)
	for i, v := range values {
		for b := range bits {
			if v>>b&1 == 1 {
				at := i*bits + b
				words[at/32] |= 1 << (at % 32)
			}
		}
	}
	return words
}

// packOldWidth puts 32/bits values into each word and leaves the rest of the
// word zero, as compressed-tensors did before it packed densely.
func packOldWidth(values []int, bits int) []uint32 {
	per := 32 / bits
	words := make([]uint32, (len(values)+per-1)/per)
	for i, v := range values {
		words[i/per] |= uint32(v) << (i % per * bits)
	}
	return words
}

// packPlanar puts each 32 values into planes: the words of their lowest four bits, or two
// of three, then those of the next.
func packPlanar(values []int, bits int) (words []uint32) {
	for ; len(values) > 0; values = values[32:] {
		for width, shift := 8, 0; width > 0; width /= 2 {
			if bits&width == 0 {
				continue
			}
			fields := make([]int, 32)
			for i := range fields {
				fields[i] = values[i] >> shift & (1<<width - 1)
			}
			words = append(words, packBits(fields, width)...)
			shift += width
		}
	}
	return words
}

// gptq adds the tensors of l in the form of GPTQ. offset is what is stored
// less the zero point, modulo 2^bits: −1 in version 1, 0 in version 2.
func (l *layer) gptq(ts *tensors, offset int, withIndex bool, modelType string) {
	l.gptqPacked(ts, packBits, offset, withIndex, modelType)
}

// gptqPacked is gptq with values packed by pack.
func (l *layer) gptqPacked(ts *tensors, pack func(values []int, bits int) []uint32, offset int, withIndex bool, modelType string) {
	mask := 1<<l.bits - 1
	height := l.k * l.bits / 32
	qweight := make([]uint32, height*l.n)
	for n := range l.n {
		column := make([]int, l.k)
		for k := range column {
			column[k] = int(l.codes[n*l.k+k])
		}
		for i, word := range pack(column, l.bits) {
			qweight[i*l.n+n] = word
		}
	}
	var qzeros []uint32
	scales := make([]float64, 0, len(l.scales))
	for g := range l.groups {
		row := make([]int, l.n)
		for n := range row {
			row[n] = (int(l.zeros[n*l.groups+g]) + offset) & mask
			scales = append(scales, l.scales[n*l.groups+g])
		}
		qzeros = append(qzeros, pack(row, l.bits)...)
	}
	ts.add(
		ints(l.name+".qweight", "I32", qweight, height, l.n),
		ints(l.name+".qzeros", "I32", qzeros, l.groups, l.n*l.bits/32),
		floats(l.name+".scales", l.scaleType, scales, l.groups, l.n),
	)
	if withIndex {
		ts.add(ints(l.name+".g_idx", "I32", l.group, l.k))
	}
	l.addBias(ts, modelType)
}

func (l *layer) addBias(ts *tensors, modelType string) {
	if l.bias != nil {
		ts.add(floats(l.name+".bias", modelType, l.bias, l.n))
	}
}

// ctPacked adds the tensors of l in the form "pack-quantized" of
// compressed-tensors.
func (l *layer) ctPacked(ts *tensors, old, withIndex bool, modelType string) {
	var packed []uint32
	for n := range l.n {
		row := make([]int, l.k)
		for k := range row {
			row[k] = int(l.codes[n*l.k+k])
		}
		if old {
			packed = append(packed, packOldWidth(row, l.bits)...)
		} else {
			packed = append(packed, packBits(row, l.bits)...)
		}
	}
	ts.add(
		ints(l.name+".weight_packed", "I32", packed, l.n, len(packed)/l.n),
		floats(l.name+".weight_scale", l.scaleType, l.scales, l.n, l.groups),
		ints(l.name+".weight_shape", "I64", []int{l.n, l.k}, 2),
	)
	if !l.symmetric {
		height := (l.n*l.bits + 31) / 32
		zeros := make([]uint32, height*l.groups)
		for g := range l.groups {
			column := make([]int, l.n)
			for n := range column {
				column[n] = int(l.zeros[n*l.groups+g])
			}
			for i, word := range packBits(column, l.bits) {
				zeros[i*l.groups+g] = word
			}
		}
		ts.add(ints(l.name+".weight_zero_point", "I32", zeros, height, l.groups))
	}
	if withIndex {
		ts.add(ints(l.name+".weight_g_idx", "I32", l.group, l.k))
	}
	l.addBias(ts, modelType)
}

// ctInt adds the tensors of l in the form "int-quantized": one int8 per code,
// signed.
func (l *layer) ctInt(ts *tensors, modelType string) {
	half := 1 << (l.bits - 1)
	signed := make([]int, len(l.codes))
	for i, c := range l.codes {
		signed[i] = int(c) - half
	}
	ts.add(
		ints(l.name+".weight", "I8", signed, l.n, l.k),
		floats(l.name+".weight_scale", l.scaleType, l.scales, l.n, l.groups),
	)
	if !l.symmetric {
		zeros := make([]int, len(l.zeros))
		for i, z := range l.zeros {
			zeros[i] = int(z) - half
		}
		ts.add(ints(l.name+".weight_zero_point", "I8", zeros, l.n, l.groups))
	}
	l.addBias(ts, modelType)
}
