package module

import "slices"

// PatternList is patterns in the order in which they are asked. A name asks those
// whose literal beginning it has, and none of the others: a large mixture has an
// entry for each module of each expert, and as many modules. The zero value is
// empty; Patterns.First asks it.
type PatternList struct {
	all     []*Pattern
	of      map[string][]int // by literal beginning, in order
	lengths []int            // of those, ascending
}

// Add appends a pattern.
func (l *PatternList) Add(x *Pattern) {
	if l.of == nil {
		l.of = map[string][]int{}
	}
	if _, known := l.of[x.prefix]; !known {
		if i, found := slices.BinarySearch(l.lengths, len(x.prefix)); !found {
			l.lengths = slices.Insert(l.lengths, i, len(x.prefix))
		}
	}
	l.of[x.prefix] = append(l.of[x.prefix], len(l.all))
	l.all = append(l.all, x)
}

// First returns the number of the first pattern of l, all of which p compiled,
// that matches name, or −1. Once all matches together have cost too much, it is
// quant.ErrUnsupported.
func (p *Patterns) First(l *PatternList, name string) (int, error) {
	found, err := p.matches(l, name, 1)
	if len(found) == 0 {
		return -1, err
	}
	return found[0], err
}

// All is First for every pattern that matches name, in order.
func (p *Patterns) All(l *PatternList, name string) ([]int, error) {
	return p.matches(l, name, len(l.all))
}

// matches returns the first patterns that match name, at most so many.
func (p *Patterns) matches(l *PatternList, name string, most int) (found []int, err error) {
	var asked []int
	for _, n := range l.lengths {
		if n > len(name) {
			break
		}
		if p.work += int64(n) / hashedInStep; p.work > maxWork {
			return nil, p.tooMuch(l.all[0])
		}
		asked = append(asked, l.of[name[:n]]...)
	}
	slices.Sort(asked)
	for _, i := range asked {
		if len(found) == most {
			break
		}
		matches, err := p.match(l.all[i], name)
		if err != nil {
			return nil, err
		}
		if matches {
			found = append(found, i)
		}
	}
	return found, nil
}

// hashedInStep is how many bytes of a name are looked up in the time of a step of
// a match.
const hashedInStep = 32
