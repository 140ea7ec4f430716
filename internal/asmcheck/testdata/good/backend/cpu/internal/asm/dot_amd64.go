package asm

func DotAVX2x1(c *Call)
func DotAVX2x4(c *Call)
func DotVNNIx1(c *Call)
func DotAVXVNNIx1(c *Call)
func DotVNNI256x1(c *Call)
func PlainBF16x1(c *Call)
func DotAMX(c *Call)
