package linear

// argument is what a parameter of a kernel in kernels/cuda is given. The names
// are those of that package's table.
type argument uint8

const (
	argX argument = iota
	argXStride
	argM
	argK
	argN
	argNp
	argUnits
	argWeights
	argScales
	argScaleKind
	argZeros
	argZero
	argGroups
	argFeatures
	argBias
	argY
	argYStride
	argYKind
	argPartial
	argFine
	argPer
	argSlices
	arguments
)

var argumentNames = [arguments]string{
	argX: "x", argXStride: "xStride", argM: "m", argK: "k", argN: "n", argNp: "np", argUnits: "units",
	argWeights: "weights", argScales: "scales", argScaleKind: "scaleKind", argZeros: "zeros", argZero: "zero",
	argGroups: "groups", argFeatures: "features", argBias: "bias", argY: "y", argYStride: "yStride", argYKind: "yKind",
	argPartial: "partial", argFine: "fine", argPer: "per", argSlices: "slices",
}

// values are the arguments of the launches of one Apply, each in its slot of 8
// bytes.
type values [arguments]uint64

// argumentOf returns the argument of a parameter's name.
func argumentOf(name string) (argument, bool) {
	for a, n := range argumentNames {
		if n == name {
			return argument(a), true
		}
	}
	return 0, false
}
