package asm

func DotNEONx1(c *Call)
func DotDotProdx1(c *Call)
func DotI8MMx1(c *Call)
