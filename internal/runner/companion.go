package runner

import (
	"context"
	"net"
)

// Companion is a program that runs beside a sandbox's command, behind the same fence and with the same environment, and ends
// with it.
type Companion struct {
	Command        []string       // as Spec.Command
	Stdout, Stderr func(p []byte) // as those of Spec
	// Exited is called when it ended, or could not start, before the sandbox did, and after what it printed. It must not block. nil = nobody wants to know.
	Exited func(Exit)
}

// Accompanied is an ability of runners: their sandboxes may have companions. Others are not given a Spec that has some.
type Accompanied interface {
	Companions() bool
}

// PortDialer is an ability of sandboxes.
type PortDialer interface {
	// DialPort is Sandbox.Dial for another port of the function's loopback.
	DialPort(ctx context.Context, port int) (net.Conn, error)
}
