// Package runner is the port to what holds a function's process: prepare, start, reach into it, stop, recover what a killed
// node left. It does not know what is said to the function (entry does) or how many are wanted (fleet does).
//
// # The contract
//
// A sandbox runs one command. It sees its code read-only at /var/task, a private /tmp, what its base shows, its
// own loopback, and nothing else of the machine unless the Spec grants it. The command and all that it starts end with the
// sandbox, and every sandbox ends with its node, even when the node is killed.
//
// What the function does is told by Exit, never by an error; an error of any method means that dalamb or the machine failed.
package runner

import (
	"context"
	"net"
	"os"
	"time"
)

// Spec is what one sandbox is made from.
type Spec struct {
	ID       string // unique on this machine while it lives; [a-z0-9-], at most 64
	Function string // for names of cgroups and for people
	Version  int
	Runner   string // that it asks for, by name; "" = the node's own. Only a Choice looks at it
	CodeDir  string // directory on the host, shown read-only at /var/task; its files must be readable by everybody; "" = none
	Base     string // "host" or "scratch"; "" with a Root
	// Root are directories on the host that hold the layers of an image, the lowest first: together they are the sandbox's root,
	// read-only. What a layer removes from those below is a whiteout in overlayfs's form, with its attributes in user.overlay.
	// /proc, /dev, /tmp, /etc/hosts, /etc/hostname and /etc/resolv.conf are always the sandbox's own. Empty = Base says what is seen.
	Root []string
	// Command is argv. A relative first word with a slash is below the working directory, one without a slash is looked for in the
	// PATH of Env.
	Command []string
	WorkDir string // where the command runs, as the sandbox sees it; "" = the code directory, or / where there is none
	User    *User  // nil = the function's usual one, user and group 1000
	// StopSignal is the one that Sandbox.Stop sends first, by name; "" = SIGTERM.
	StopSignal string
	Env        []string  // KEY=value, complete: a runner adds PATH when it is missing, and what its own working needs
	Secrets    *Secrets  // beside Env, and stronger; nil = none
	Memory     int64     // bytes; 0 = no limit
	CPU        float64   // cores; 0 = no limit
	PIDs       int       // processes and threads; 0 = no limit
	Files      int       // open at a time in one process; 0 = no limit
	Strict     bool      // refuse to start where Ability.Lacks anything
	Tmp        int64     // bytes of /tmp; 0 = 64 MiB
	Network    string    // "none", "egress" or "host"
	Allow      []Allowed // of the network egress; none = the internet
	// Calls are names of hosts by which the command reaches its node: port 80 of each leads to Caller.Calls. Of sandboxes that are
	// Callers; others refuse it.
	Calls  []string
	Mounts []Mount // directories of the host that are shown beside the code; of the runner native
	// Background gives it a tenth of the CPU that others get who want it too; all of it when nobody does.
	Background bool

	// Nested makes the command root of a user namespace and a mount namespace of its own, below the sandbox's: it may mount and change its
	// root, as what builds images does, over what it has of the sandbox already. With Mounts only.
	Nested bool

	// Listen asks for a listener inside the sandbox, open before the command starts; see Sandbox.Listener. 0 = none.
	// Its address is 127.0.0.1:Listen for runners that have their own loopback; else Command and Env are expanded
	// with the address that was chosen, in place of the text ListenAddr.
	Listen int

	// Port is where the function itself will listen, 0 = nowhere. A runner without an own loopback (process, network host)
	// picks a free port instead and puts its number in place of the text PortNumber in Env and Command.
	Port int

	// Stdin is given to the command whole; nil = /dev/null.
	Stdin []byte
	// Feed is the command's stdin in place of Stdin: the reading end of a pipe whose other end the caller has. Start closes it.
	Feed *os.File
	// Stdout and Stderr take the output in chunks as it comes; nil throws it away. They are called from one goroutine each and
	// may not keep p. The function never blocks on them for long: what a slow one cannot take is lost and counted in Exit.Lost.
	Stdout, Stderr func(p []byte)

	// Companions run beside the command; they are started before it, in this order. For runners that are Accompanied.
	Companions []Companion
	// Hold keeps the command back until it is closed; Start does not wait for that. nil = it is started at once. For runners that
	// are Accompanied.
	Hold <-chan struct{}
}

const (
	// ListenAddr in Spec.Env or Spec.Command stands for host:port of the sandbox's listener.
	ListenAddr = "{{dalamb.listen}}"
	// PortNumber in Spec.Env or Spec.Command stands for the port that the function shall listen on.
	PortNumber = "{{dalamb.port}}"
	// TaskRoot in Spec.Env or Spec.Command stands for the directory where the function sees its code: /var/task, or
	// Spec.CodeDir with a runner that has no file system of its own.
	TaskRoot = "{{dalamb.task}}"
)

// Exit is how a sandbox's command ended.
type Exit struct {
	Code   int    // exit code; -1 when a signal ended it
	Signal string // "SIGKILL"; "" when it exited by itself
	OOM    bool   // the memory limit killed it
	// Start is set when the command never ran: no such file, bad exec format, and so on; the system's own words.
	Start string
	// Lost counts the bytes of output that Spec.Stdout and Spec.Stderr were too slow to take.
	Lost int64
}

// Usage is what a sandbox has used so far. Zero = not known.
type Usage struct {
	CPU        time.Duration
	MemoryPeak int64 // bytes
}

// Runner makes sandboxes. Safe for concurrent use.
type Runner interface {
	// Name is the word for --runner.
	Name() string
	// Check says what the machine allows. An error (Unavailable, with the remedy as hint) means: do not start. Blocks for at
	// most some seconds; it may start a trial sandbox.
	Check(ctx context.Context) (Ability, error)
	// Recover removes what an earlier node of the same state directory left (processes, mounts, cgroups, links) and returns how
	// many sandboxes that was. Called once, before the first Start.
	Recover(ctx context.Context) (int, error)
	// Start makes a sandbox and starts its command. A command that cannot be run is no error: Exit.Start tells.
	// When ctx ends before the command was started, the sandbox is gone when Start returns.
	Start(ctx context.Context, s Spec) (Sandbox, error)
	// Close stops all sandboxes (SIGKILL) and frees what the runner holds.
	Close() error
}

// Sandbox is one live function process and its fence. Safe for concurrent use.
type Sandbox interface {
	// Listener accepts what the function dials at 127.0.0.1:Spec.Listen. nil when Spec.Listen is 0. Closed with the sandbox.
	Listener() net.Listener
	// Dial connects to Spec.Port on the function's loopback. An error that is ECONNREFUSED means nothing listens there yet.
	Dial(ctx context.Context) (net.Conn, error)
	// Done is closed when the command and all that it started are gone and all output has been delivered.
	Done() <-chan struct{}
	// Exit is how the command ended; valid after Done is closed.
	Exit() Exit
	// Stop sends Spec.StopSignal, after grace SIGKILL to the whole tree, and blocks until Done. grace 0 kills at once. Idempotent.
	Stop(grace time.Duration)
	// Usage may be called at any time, also after Done.
	Usage() Usage
}

// PortLister is a Sandbox that can say on what ports its function listens.
type PortLister interface {
	// Listening lists the TCP ports that something listens on in the sandbox's own network, rising. An error that is
	// errors.ErrUnsupported: it has no network of its own.
	Listening() ([]int, error)
}

// AcceptTeller is a Sandbox that can say what connections its function leaves waiting.
type AcceptTeller interface {
	// Waits says whether a connection to the sandbox, dialled from that port and closed meanwhile or not, was never accepted by what runs
	// in it. An error that is errors.ErrUnsupported: it has no network of its own.
	Waits(from int) (bool, error)
}

// Freezer is a Sandbox whose processes can be held still: they keep their memory and get no CPU.
type Freezer interface {
	// Freeze freezes or thaws, and returns when the kernel has been told. What is written to a frozen sandbox waits, and so does Dial where the sandbox's kernel is frozen with it. Stop
	// thaws. An error of freezing leaves it thawed; errors.ErrUnsupported: this machine cannot. Idempotent.
	Freeze(on bool) error
}
