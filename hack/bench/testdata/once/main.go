// Once reads its input, says that it ran, and ends: the least that a program can do for an event.
package main

import (
	"io"
	"os"
)

func main() {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("true\n")
}
