// Package amx asks the system for the tiles of AMX, Intel's matrix unit: what the
// processor has a process may use only after it has asked. Nothing else is here.
package amx
