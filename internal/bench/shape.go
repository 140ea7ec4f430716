package bench

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// A Shape is the size of a linear layer.
type Shape struct{ K, N int }

// String returns "KxN".
func (s Shape) String() string { return fmt.Sprintf("%dx%d", s.K, s.N) }

// A Model is the linear layers of a language model's block, by their sizes.
type Model struct {
	Name   string
	Hidden int // width of the residual stream
	KV     int // outputs of k_proj and v_proj each
	Inner  int // outputs of gate_proj and up_proj each
}

// Models are the models whose names ParseShapes knows: Llama 3.1 8B and Qwen2.5
// 7B.
var Models = []Model{
	{"llama-8b", 4096, 1024, 14336},
	{"qwen-7b", 3584, 512, 18944},
}

// Shapes returns the sizes of m's layers, each once: q and o, k and v, gate and
// up, down.
func (m Model) Shapes() []Shape {
	return []Shape{{m.Hidden, m.Hidden}, {m.Hidden, m.KV}, {m.Hidden, m.Inner}, {m.Inner, m.Hidden}}
}

// A Set is layers that share their input.
type Set struct {
	Name   string
	Layers []Shape // of one K
}

// Sets returns q/k/v and gate/up of m.
func (m Model) Sets() []Set {
	return []Set{
		{m.Name + " q/k/v", []Shape{{m.Hidden, m.Hidden}, {m.Hidden, m.KV}, {m.Hidden, m.KV}}},
		{m.Name + " gate/up", []Shape{{m.Hidden, m.Inner}, {m.Hidden, m.Inner}}},
	}
}

// ParseShapes reads names of models and sizes "KxN". Each size is returned
// once, in order; the models as well.
func ParseShapes(words []string) (shapes []Shape, models []Model, err error) {
	seen := map[Shape]bool{}
	add := func(list ...Shape) {
		for _, s := range list {
			if !seen[s] {
				seen[s] = true
				shapes = append(shapes, s)
			}
		}
	}
next:
	for _, word := range words {
		for _, m := range Models {
			if m.Name == word {
				add(m.Shapes()...)
				models = append(models, m)
				continue next
			}
		}
		k, n, ok := strings.Cut(word, "x")
		s := Shape{}
		for _, of := range []struct {
			name, text string
			to         *int
		}{{"K", k, &s.K}, {"N", n, &s.N}} {
			v, err := strconv.Atoi(of.text)
			if !ok || err != nil && !errors.Is(err, strconv.ErrRange) {
				return nil, nil, fmt.Errorf("%q is neither a model (%s) nor a size KxN", word, modelNames())
			}
			if v < 1 || v > quant.MaxDim {
				return nil, nil, fmt.Errorf("%q: %s is %s, want 1 to %d", word, of.name, of.text, quant.MaxDim)
			}
			*of.to = v
		}
		add(s)
	}
	return shapes, models, nil
}

func modelNames() string {
	names := make([]string, len(Models))
	for i, m := range Models {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}
