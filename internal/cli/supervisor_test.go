package cli_test

import (
	"net"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// supervise is a service manager that writes down what it is told, and sets NOTIFY_SOCKET. supervise FILE
func supervise(ts *testscript.TestScript, _ bool, args []string) {
	dir, err := os.MkdirTemp("", "") // an address of a socket has at most 107 bytes
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	at := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	ts.Check(err)
	to, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	done := make(chan struct{})
	ts.Defer(func() { c.Close(); <-done; to.Close() })
	ts.Setenv("NOTIFY_SOCKET", at)
	go func() {
		defer close(done)
		told := make([]byte, 4096)
		for {
			n, err := c.Read(told)
			if err != nil {
				return
			}
			_, _ = to.Write(append(told[:n:n], '\n')) // the script misses what is not written
		}
	}()
}
