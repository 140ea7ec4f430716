package workers

func pause()

// Wait waits a little: every amd64 can.
func Wait() { pause() }
