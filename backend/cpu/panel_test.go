package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestPanelsCoverEveryFeature checks that pieces follow each other without
// gaps, stay within their groups and limits, and do not overlap in a row.
func TestPanelsCoverEveryFeature(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	shapes := append(shapes(t, rng),
		shape{n: 40, k: 4096, groups: quant.OneGroup(4096)}, shape{n: 16, k: 4000, groups: uniform(t, 4000, 128)},
		shape{n: 16, k: 1024, groups: uniform(t, 1024, 32)}, shape{n: 3, k: 2048, groups: actOrder(t, rng, 2048, 17)})
	recipes := append([]quant.Recipe{{}}, int8Recipes...)
	for _, s := range shapes {
		for _, bits := range []int{0, 4, 8} {
			s.bits, s.scales, s.zeros, s.plain = bits, dtype.F16, s.n%2 == 0, dtype.Invalid
			if bits == 0 {
				s.plain = dtype.BF16
			}
			l := s.linear(t, rng)
			for _, r := range recipes {
				if bits == 0 && r.Kind != quant.Exact {
					continue
				}
				spec, err := backend.NewSpec(l, backend.Request{X: dtype.F32, Recipe: &r})
				require.NoError(t, err)
				for _, kind := range []panelKind{bytePanel, wordPanel, floatPanel} {
					if (kind == floatPanel) == (r.Kind == quant.Exact) {
						checkPanel(t, newPanel(kind, &spec), &spec, l)
					}
				}
			}
		}
	}
}

func checkPanel(t *testing.T, p *panel, s *backend.Spec, l *quant.Linear) {
	t.Helper()
	var groups, acts []int32
	if !s.Plain.Valid() {
		groups = l.Weight.Groups().Bounds(nil)
	}
	act := 0 // of acts that the piece is in
	if s.Recipe.Kind == quant.Int8Group {
		g := s.Recipe.ActGroups(l.Weight.Groups())
		acts = g.Bounds(nil)
	}
	next, end := int32(0), int32(0)
	for i, e := range p.pieces {
		require.Equal(t, next, e.lo)
		require.Greater(t, e.hi, e.lo)
		next = e.hi
		require.GreaterOrEqual(t, e.at, end)
		require.Zero(t, e.at%lineUnit)
		end = e.at + int32(e.padded(p.kind))
		require.LessOrEqual(t, end, int32(p.padded))
		if groups != nil {
			require.GreaterOrEqual(t, e.lo, groups[e.group])
			require.LessOrEqual(t, e.hi, groups[e.group+1])
		}
		if acts != nil {
			for acts[act+1] <= e.lo {
				act++
			}
			require.LessOrEqual(t, e.hi, acts[act+1])
		}
		if !e.ends {
			require.Equal(t, e.group, p.pieces[i+1].group)
			if acts != nil {
				require.Less(t, e.hi, acts[act+1])
			}
		}
	}
	require.EqualValues(t, s.K, next)
	pieces, features := 0, 0
	for i, b := range p.blocks {
		require.EqualValues(t, pieces, p.first[i])
		require.EqualValues(t, p.header()+int(b.Segments)*int(b.Lines)*lineBytes, p.offset[i+1]-p.offset[i])
		for j := range int(b.Segments) {
			require.EqualValues(t, features+j*int(b.Lines)*p.perLine, p.pieces[pieces+j].at)
			require.Equal(t, p.pieces[pieces+j].ends, b.Ends>>j&1 == 1)
		}
		pieces += int(b.Segments)
		features += int(b.Segments) * int(b.Lines) * p.perLine
	}
	require.Equal(t, len(p.pieces), pieces)
	require.Equal(t, p.padded, features)
	require.True(t, p.pieces[pieces-1].ends)
}

// TestRunsStayShort has sums that never end where four pieces do.
func TestRunsStayShort(t *testing.T) {
	s := backend.Spec{N: 16, K: 1 << 16, Bits: 8, Scales: dtype.F16, ZeroMax: 255, Recipe: quant.Recipe{Kind: quant.Int8TokenAsym}}
	s.Groups = backend.GroupSpec{Kind: quant.Ragged, Shortest: 128, Longest: 256, Bounds: []int32{0}}
	for at := int32(128); at < 1<<16; at += 256 {
		s.Groups.Bounds = append(s.Groups.Bounds, at)
	}
	s.Groups.Bounds = append(s.Groups.Bounds, 1<<16)
	s.Groups.Count = len(s.Groups.Bounds) - 1
	p := newPanel(bytePanel, &s)
	for _, r := range p.divide() {
		require.Less(t, int(p.first[r.to]-p.first[r.from])*longestPair, 2*runFeatures)
	}
}

// TestBlocksOfLayers is how the features of whole layers are divided into blocks:
// those of the golden bits are too few to be divided. Other blocks are other bytes of
// packed weights, and want another packingVersion.
func TestBlocksOfLayers(t *testing.T) {
	for _, c := range []struct {
		kind     panelKind
		bits     int
		group    int
		features uint16 // of each segment
		segments []uint8
	}{
		{bytePanel, 4, 4096, 512, []uint8{2, 2, 2, 2}},
		{bytePanel, 8, 4096, 512, []uint8{2, 2, 2, 2}},
		{bytePanel, 4, 512, 512, []uint8{2, 2, 2, 2}},
		{bytePanel, 4, 256, 256, []uint8{4, 4, 4, 4}},
		{bytePanel, 4, 1024, 512, []uint8{2, 2, 2, 2}},
		{wordPanel, 8, 4096, 512, []uint8{2, 2, 2, 2}},
		{floatPanel, 4, 4096, 128, []uint8{4, 4, 4, 4, 4, 4, 4, 4}},
		{tilePanel, 4, 4096, 128, []uint8{4, 4, 4, 4, 4, 4, 4, 4}},
		{tilePanel, 8, 96, 96, []uint8{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2}},
	} {
		s := backend.Spec{N: 16, K: 4096, Bits: c.bits, Scales: dtype.F16, Symmetric: true, Groups: backend.GroupSpec{Count: 4096 / c.group, Longest: c.group}}
		if !c.kind.exact() {
			s.Recipe.Kind = quant.Int8Token
		}
		var segments []uint8
		for _, b := range newPanel(c.kind, &s).blocks {
			require.Equal(t, c.features, b.Features, "%+v", c)
			segments = append(segments, b.Segments)
		}
		require.Equal(t, c.segments, segments, "%+v", c)
	}
}
