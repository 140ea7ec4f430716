package bench

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// SVG draws a report as roofline pictures, one beside the other for each number
// of threads: across, the operations that a layer does for each byte of its
// weights; up, the operations per second. The slanted roof is the reading of
// memory, the level ones are units. A picture without cells has the roofs
// alone.
func SVG(r *Report) []byte {
	p := &picture{}
	var panels []*panel
	for _, threads := range threadsOf(r) {
		panels = append(panels, newPanel(r, threads))
	}
	rows := 0
	for _, q := range panels {
		rows = max(rows, len(q.series))
	}
	width := pageMargin*2 + max(1, len(panels))*panelWidth + max(0, len(panels)-1)*panelGap
	height := headHeight + panelHeight + axisHeight + rows*legendRow + pageMargin
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="Helvetica, Arial, sans-serif">`+"\n", width, height, width, height)
	fmt.Fprintf(p, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	p.text(pageMargin, 30, 18, "start", ink, "How near layers come to what this processor can do: "+r.Device.Name)
	p.text(pageMargin, 50, 12, "start", faint, "A point is a layer at M rows of x, labelled with M; small points are the single shapes.")
	p.text(pageMargin, 66, 12, "start", faint, "On a line a layer is at the limit: of memory (slanted), of arithmetic (level).")
	for i, q := range panels {
		p.panel(q, float64(pageMargin+i*(panelWidth+panelGap)), headHeight)
	}
	p.WriteString("</svg>\n")
	return []byte(p.String())
}

// Sizes in pixels.
const (
	pageMargin  = 24
	headHeight  = 112
	panelWidth  = 620
	panelHeight = 430
	panelGap    = 40
	axisHeight  = 60
	legendRow   = 20
	leftAxis    = 58 // of panelWidth
)

const ink, faint, grid = "#1f2328", "#59636e", "#e3e6ea"

// Colours of series, and of the roofs.
var (
	seriesColours = []string{"#0969da", "#cf222e", "#1a7f37", "#8250df", "#bc4c00", "#116329", "#a40e26", "#0550ae"}
	roofColour    = "#57606a"
)

// panel is one diagram.
type panel struct {
	title          string
	read           float64 // GB/s; 0: unknown
	roofs          []roof
	series         []series
	x0, x1, y0, y1 float64 // log2 of operations per byte, log10 of GOP/s
}

type roof struct {
	name string
	gops float64
}

// series is one scheme with one kernel.
type series struct {
	name   string
	all    []point // every shape
	middle []point // the median shape at each M
}

type point struct {
	m           int
	ratio, gops float64 // operations per byte, GOP/s
}

// threadsOf returns the numbers of threads in r, ascending.
func threadsOf(r *Report) []int {
	var threads []int
	for i := range r.Limits {
		threads = append(threads, r.Limits[i].Threads)
	}
	slices.Sort(threads)
	return slices.Compact(threads)
}

func newPanel(r *Report, threads int) *panel {
	q := &panel{title: fmt.Sprintf("%d threads, each on a core of its own", threads)}
	if threads == 1 {
		q.title = "1 thread"
	}
	used := map[string]bool{}
	byName := map[string]*series{}
	var order []string
	var reads []float64 // next to each layer: memory is not equally fast all the time
	for i := range r.Cells {
		c := &r.Cells[i]
		if c.Threads != threads || c.Gops == 0 || c.Bytes == 0 {
			continue
		}
		if c.Peak != nil {
			used[c.Peak.Limit] = true
		}
		if c.Read != nil {
			reads = append(reads, c.Read.Speed)
		}
		name := c.Scheme + ", " + c.DType + ": " + c.Kernel
		s := byName[name]
		if s == nil {
			s = &series{name: name}
			byName[name] = s
			order = append(order, name)
		}
		s.all = append(s.all, point{c.M, c.Ops / float64(c.Bytes), c.Gops})
	}
	for _, name := range order {
		s := byName[name]
		s.middle = middles(s.all)
		q.series = append(q.series, *s)
	}
	for i := range r.Limits {
		l := &r.Limits[i]
		switch {
		case l.Threads != threads || l.P50 == 0 || l.Name == readSmallLimit:
		case l.Name == readLimit:
			q.read = l.P50
		case used[l.Name] || len(used) == 0:
			q.roofs = append(q.roofs, roof{l.Name, l.P50})
		}
	}
	if len(reads) > 0 {
		q.read = median(reads)
	}
	slices.SortFunc(q.roofs, func(a, b roof) int { return int(math.Copysign(1, b.gops-a.gops)) })
	q.scale()
	return q
}

// middles returns the median shape at each M, by M.
func middles(all []point) []point {
	byRows := map[int][]point{}
	for _, p := range all {
		byRows[p.m] = append(byRows[p.m], p)
	}
	var out []point
	for _, list := range byRows {
		slices.SortFunc(list, func(a, b point) int { return int(math.Copysign(1, a.gops-b.gops)) })
		out = append(out, list[len(list)/2])
	}
	slices.SortFunc(out, func(a, b point) int { return a.m - b.m })
	return out
}

// scale chooses the axes: around all points and level roofs.
func (q *panel) scale() {
	left, right, low, high := 4.0, 1024.0, math.Inf(1), 1.0
	for _, s := range q.series {
		for _, p := range s.all {
			left, right = min(left, p.ratio), max(right, p.ratio)
			low, high = min(low, p.gops), max(high, p.gops)
		}
	}
	for _, r := range q.roofs {
		low, high = min(low, r.gops), max(high, r.gops)
	}
	if math.IsInf(low, 1) {
		low = 10
	}
	q.x0, q.x1 = math.Log2(left)-1, math.Log2(right)+0.4
	q.y0, q.y1 = math.Log10(low)-0.3, math.Log10(high)+0.15
}

// picture is the text of an SVG.
type picture struct{ strings.Builder }

func (p *picture) text(x, y float64, size int, anchor, colour, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, size, anchor, colour, html.EscapeString(text))
}

// halo writes text that can be read on top of lines.
func (p *picture) halo(x, y float64, size int, anchor, colour, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" stroke="#ffffff" stroke-width="3" paint-order="stroke">%s</text>`+"\n", x, y, size, anchor, colour, html.EscapeString(text))
}

func (p *picture) line(x1, y1, x2, y2, width float64, colour, dash string) {
	fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%.1f"`, x1, y1, x2, y2, colour, width)
	if dash != "" {
		fmt.Fprintf(p, ` stroke-dasharray="%s"`, dash)
	}
	p.WriteString("/>\n")
}

func (p *picture) panel(q *panel, left, top float64) {
	x0, x1 := left+leftAxis, left+panelWidth
	y0, y1 := top+panelHeight, top
	x := func(ratio float64) float64 { return x0 + (math.Log2(ratio)-q.x0)/(q.x1-q.x0)*(x1-x0) }
	y := func(gops float64) float64 { return y0 - (math.Log10(gops)-q.y0)/(q.y1-q.y0)*(y0-y1) }
	p.text(left, top-12, 14, "start", ink, q.title)
	p.axes(q, x0, x1, y0, y1, x, y)
	p.drawRoofs(q, x0, x1, x, y)
	var taken []spot
	for i, s := range q.series {
		p.drawSeries(s, seriesColours[i%len(seriesColours)], &taken, x, y)
		at := y0 + axisHeight + float64(i*legendRow)
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="5" fill="%s"/>`+"\n", x0+6, at-4, seriesColours[i%len(seriesColours)])
		p.text(x0+18, at, 12, "start", ink, s.name)
	}
}

func (p *picture) axes(q *panel, x0, x1, y0, y1 float64, x, y func(float64) float64) {
	for e := math.Ceil(q.x0); e <= q.x1; e++ {
		v := math.Exp2(e)
		p.line(x(v), y0, x(v), y1, 1, grid, "")
		p.text(x(v), y0+16, 11, "middle", faint, number(v))
	}
	for e := math.Floor(q.y0); e <= q.y1; e++ {
		for _, step := range []float64{1, 2, 5} {
			v := step * math.Pow(10, e)
			if math.Log10(v) > q.y1 || math.Log10(v) < q.y0 {
				continue
			}
			p.line(x0, y(v), x1, y(v), 1, grid, "")
			p.text(x0-6, y(v)+4, 11, "end", faint, number(v))
		}
	}
	p.line(x0, y0, x1, y0, 1, faint, "")
	p.line(x0, y0, x0, y1, 1, faint, "")
	p.text((x0+x1)/2, y0+34, 12, "middle", faint, "operations per byte of weights (codes, scales, zero points)")
	fmt.Fprintf(p, `<text transform="translate(%.1f %.1f) rotate(-90)" font-size="12" text-anchor="middle" fill="%s">GOP/s</text>`+"\n", x0-44, (y0+y1)/2, faint)
}

// drawRoofs draws the slanted roof up to the highest level one, and each level
// one from where it meets the slanted one.
func (p *picture) drawRoofs(q *panel, x0, x1 float64, x, y func(float64) float64) {
	top := math.Pow(10, q.y1)
	if len(q.roofs) > 0 {
		top = q.roofs[0].gops
	}
	if q.read > 0 {
		from := max(math.Exp2(q.x0), math.Pow(10, q.y0)/q.read)
		to := min(top/q.read, math.Exp2(q.x1))
		p.line(x(from), y(from*q.read), x(to), y(to*q.read), 2, roofColour, "")
		middle := math.Exp2((math.Log2(from) + math.Log2(to)) / 2)
		slope := math.Atan2(y(2*q.read)-y(q.read), x(2)-x(1)) * 180 / math.Pi
		fmt.Fprintf(p, `<text transform="translate(%.1f %.1f) rotate(%.1f)" dy="-7" font-size="12" text-anchor="middle" fill="%s">reading memory, %s GB/s</text>`+"\n",
			x(middle), y(middle*q.read), slope, ink, number(q.read))
	}
	last := math.Inf(-1)
	for _, r := range q.roofs {
		from := x0
		if q.read > 0 {
			from = max(x0, x(r.gops/q.read))
		}
		p.line(from, y(r.gops), x1, y(r.gops), 2, roofColour, "6 3")
		if at := y(r.gops) - 6; at-last > 13 { // labels would cover each other
			p.halo(x1-4, at, 12, "end", ink, r.name+", "+number(r.gops)+" GOP/s")
			last = at
		}
	}
}

// spot is the middle of a label that stands.
type spot struct{ x, y float64 }

// drawSeries draws a line through the median shapes, and every shape. A label
// stands below its point, or above it, or not at all where others are in the
// way.
func (p *picture) drawSeries(s series, colour string, taken *[]spot, x, y func(float64) float64) {
	for _, a := range s.all {
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="2" fill="%s" fill-opacity="0.35"/>`+"\n", x(a.ratio), y(a.gops), colour)
	}
	var path []string
	for _, a := range s.middle {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x(a.ratio), y(a.gops)))
	}
	fmt.Fprintf(p, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5" stroke-opacity="0.7"/>`+"\n", strings.Join(path, " "), colour)
	for _, a := range s.middle {
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4.5" fill="%s"/>`+"\n", x(a.ratio), y(a.gops), colour)
		label := fmt.Sprint(a.m)
		if a.m == s.middle[0].m {
			label = "M=" + label
		}
		for _, below := range []float64{18, 31, -9} {
			at := spot{x(a.ratio), y(a.gops) + below}
			if !slices.ContainsFunc(*taken, at.covers) {
				*taken = append(*taken, at)
				p.halo(at.x, at.y, 11, "middle", colour, label)
				break
			}
		}
	}
}

// covers reports whether labels at both spots would touch.
func (s spot) covers(t spot) bool { return math.Abs(s.x-t.x) < 24 && math.Abs(s.y-t.y) < 12 }
