package conformance

import "math/rand/v2"

// pair is level a of factor f together with level b of factor g, f < g.
type pair struct{ f, a, g, b int }

// cover returns rows of levels, one level for each factor, such that every pair
// of levels of two factors is in some row; all combinations when full. The
// result depends on levels and round alone; another round is another cover.
func cover(levels []int, round uint64) [][]int {
	var pairs []pair
	open := map[pair]bool{}
	for f := range levels {
		for g := f + 1; g < len(levels); g++ {
			for a := range levels[f] {
				for b := range levels[g] {
					pairs = append(pairs, pair{f, a, g, b})
					open[pair{f, a, g, b}] = true
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(round, uint64(len(levels))))
	var rows [][]int
	for _, p := range pairs {
		if !open[p] {
			continue
		}
		var best []int
		most := 0
		for range 10 {
			if row, gain := greedy(rng, levels, open, p); gain > most {
				best, most = row, gain
			}
		}
		for f, a := range best {
			for g := f + 1; g < len(best); g++ {
				delete(open, pair{f, a, g, best[g]})
			}
		}
		rows = append(rows, best)
	}
	return rows
}

// greedy returns a row that holds the pair p, its other levels chosen one after
// another to close the most open pairs, and how many it closes.
func greedy(rng *rand.Rand, levels []int, open map[pair]bool, p pair) (row []int, gain int) {
	row = make([]int, len(levels))
	for f := range row {
		row[f] = -1
	}
	row[p.f], row[p.g] = p.a, p.b
	gain = 1
	for _, f := range rng.Perm(len(levels)) {
		if row[f] >= 0 {
			continue
		}
		most := -1
		shift := rng.IntN(levels[f])
		for i := range levels[f] {
			a := (i + shift) % levels[f]
			if n := closes(open, row, f, a); n > most {
				row[f], most = a, n
			}
		}
		gain += most
	}
	return row, gain
}

// closes counts the open pairs that level a of factor f makes with row.
func closes(open map[pair]bool, row []int, f, a int) int {
	n := 0
	for g, b := range row {
		switch {
		case b < 0 || g == f:
		case g < f && open[pair{g, b, f, a}], g > f && open[pair{f, a, g, b}]:
			n++
		}
	}
	return n
}

// product returns all combinations.
func product(levels []int) [][]int {
	rows := [][]int{{}}
	for _, n := range levels {
		var longer [][]int
		for _, row := range rows {
			for a := range n {
				longer = append(longer, append(append([]int(nil), row...), a))
			}
		}
		rows = longer
	}
	return rows
}
