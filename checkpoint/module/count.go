package module

import "fmt"

// Count returns "1 layer", "2 layers": a number with its noun, for messages.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Layers returns "1 layer, NAME" or "2 layers, the first is NAME": how many
// layers a message is about, and the name of the first where there is one.
func Layers(n int, first string) string {
	const most = 160 // characters of a name, which comes from a file
	switch {
	case n < 1:
		return Count(n, "layer")
	case n == 1:
		return fmt.Sprintf("1 layer, %.*s", most, first)
	}
	return fmt.Sprintf("%s, the first is %.*s", Count(n, "layer"), most, first)
}
