// Command dalamb runs functions when events happen. What it does with its arguments is in package cli.
package main

import (
	"os"

	"github.com/dalamb/dalamb/internal/cli"
)

func main() { os.Exit(cli.Process()) }
