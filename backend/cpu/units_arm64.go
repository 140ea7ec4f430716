package cpu

// units are the instruction sets of arm64, best first.
var units []*unit
