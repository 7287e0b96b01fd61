// Command dalamb runs functions when events happen.
package main

import (
	"os"

	"github.com/dalamb/dalamb/internal/cli"
)

func main() { os.Exit(cli.Process()) }
