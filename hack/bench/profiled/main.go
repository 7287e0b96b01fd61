// Profiled is dalamb with a CPU profile: SIGUSR1 begins it, SIGUSR2 ends it and writes it to the file that PROFILE names. The bench
// runs it in the place of dalamb when BENCH_PROFILE is set.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/dalamb/dalamb/internal/cli"
)

func main() {
	if name := os.Getenv("PROFILE"); name != "" {
		begin, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
		signal.Notify(begin, syscall.SIGUSR1)
		signal.Notify(end, syscall.SIGUSR2)
		go func() {
			for range begin {
				if err := profile(name, end); err != nil {
					fmt.Fprintln(os.Stderr, "profile:", err)
				}
			}
		}()
	}
	os.Exit(cli.Process())
}

// profile writes a profile of what happens until end has something.
func profile(name string, end <-chan os.Signal) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	<-end
	pprof.StopCPUProfile()
	return f.Close()
}
