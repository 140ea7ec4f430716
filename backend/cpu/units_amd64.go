package cpu

// units are the instruction sets of amd64, best first.
var units []*unit
