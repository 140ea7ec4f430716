package ptx

// setReconvergence gives every branch the immediate post-dominator of its block:
// the first instruction that all its ways to the exit pass. -1 is the exit.
func setReconvergence(code []inst) {
	leader := make([]bool, len(code)+1)
	leader[0] = true
	for i := range code {
		in := &code[i]
		switch in.flow {
		case branch:
			leader[in.target], leader[i+1] = true, true
		case branchTable:
			for _, t := range in.targets {
				leader[t] = true
			}
			leader[i+1] = true
		case exit:
			leader[i+1] = true
		}
	}
	blockOf := make([]int, len(code))
	var first []int
	for i := range code {
		if leader[i] {
			first = append(first, i)
		}
		blockOf[i] = len(first) - 1
	}
	n := len(first)
	succ := make([][]int, n)
	for b := range n {
		end := len(code)
		if b+1 < n {
			end = first[b+1]
		}
		succ[b] = successors(code, end-1, blockOf, n)
	}
	idom := postDominators(succ)
	for i := range code {
		if f := code[i].flow; f != branch && f != branchTable {
			continue
		}
		code[i].reconv = -1
		if d := idom[blockOf[i]]; d >= 0 && d < n {
			code[i].reconv = int32(first[d])
		}
	}
}

// successors of the block whose last instruction is at i; n is the exit.
func successors(code []inst, i int, blockOf []int, n int) []int {
	in := &code[i]
	var s []int
	add := func(pc int) {
		if pc >= len(code) {
			s = append(s, n)
			return
		}
		s = append(s, blockOf[pc])
	}
	switch in.flow {
	case branch:
		add(int(in.target))
	case branchTable:
		for _, t := range in.targets {
			add(int(t))
		}
	case exit:
		s = append(s, n)
	}
	if in.flow == straight || in.guard >= 0 {
		add(i + 1)
	}
	return s
}

// postDominators gives the immediate post-dominator of each block; len(succ) is
// the exit, -1 means none (an endless loop). The method is that of Cooper, Harvey
// and Kennedy on the reversed graph.
func postDominators(succ [][]int) []int {
	n := len(succ)
	pred := make([][]int, n+1)
	for b, ss := range succ {
		for _, s := range ss {
			pred[s] = append(pred[s], b)
		}
	}
	// Postorder of the reversed graph from the exit, without recursion.
	number := make([]int, n+1)
	for i := range number {
		number[i] = -1
	}
	var order []int
	type frame struct{ b, next int }
	seen := make([]bool, n+1)
	seen[n] = true
	stack := []frame{{n, 0}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		if f.next < len(pred[f.b]) {
			p := pred[f.b][f.next]
			f.next++
			if !seen[p] {
				seen[p] = true
				stack = append(stack, frame{p, 0})
			}
			continue
		}
		number[f.b] = len(order)
		order = append(order, f.b)
		stack = stack[:len(stack)-1]
	}
	idom := make([]int, n+1)
	for i := range idom {
		idom[i] = -1
	}
	idom[n] = n
	meet := func(a, b int) int {
		for a != b {
			for number[a] < number[b] {
				a = idom[a]
			}
			for number[b] < number[a] {
				b = idom[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for k := len(order) - 2; k >= 0; k-- {
			b := order[k]
			d := -1
			for _, s := range succ[b] {
				switch {
				case idom[s] < 0:
				case d < 0:
					d = s
				default:
					d = meet(d, s)
				}
			}
			if d != idom[b] {
				idom[b], changed = d, true
			}
		}
	}
	return idom[:n]
}
