//go:build !linux

package main

// isGuest is false: the emulated machine runs Linux.
func isGuest() bool { return false }

func guestMain() {}
