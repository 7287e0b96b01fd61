// Package child runs programs for tests: each in a process of its own that can be killed, and that lives no longer than the process which started it, however that
// one ends. It does not know what the programs are.
package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// guard starts a command, prints its process id, and returns with its exit code. The command is killed, and the directory $1 is
// removed, when standard input ends: that is when whoever started the guard has died.
const guard = `dir=$1; out=$2; shift 2
exec 3<&0 </dev/null
"$@" >"$out" 2>&1 &
pid=$!
trap 'kill -9 $pid; wait $pid; rm -rf "$dir"; exit 1' USR1
( read -r _ <&3; kill -USR1 $$ ) >/dev/null 2>&1 &
watch=$!
echo $pid
exec 1>&- 2>&-
wait $pid
code=$?
kill -9 $watch
exit $code`

// Child is a program that runs, or has ended. Safe for concurrent use.
type Child struct {
	pid   int
	stdin io.Closer     // of the guard; closing it ends the program
	done  chan struct{} // closed when the guard has returned
}

// Start runs a command, whose output goes into a file, which is made anew. dir is removed if this process dies before the command has ended.
func Start(dir, output string, command []string) (*Child, error) {
	if err := os.WriteFile(output, nil, 0o600); err != nil { // what an earlier one said is not about this one
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	cmd := exec.Command("sh", append([]string{"-c", guard, "guard", dir, output}, command...)...)
	// A group of its own: Ctrl-C at a terminal is for the one who started it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	pid, errPID := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, errPID); err != nil {
		stdin.Close()
		return nil, errors.Join(fmt.Errorf("start %s: %w", command[0], err), cmd.Wait())
	}
	c := &Child{pid: pid, stdin: stdin, done: make(chan struct{})}
	go func() { // ends with the program; End waits for it
		_ = cmd.Wait() // how it ended is in its output
		close(c.done)
	}()
	return c, nil
}

// Done is closed when the program has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Ended says whether it has.
func (c *Child) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Signal sends one, unless the program has ended.
func (c *Child) Signal(s syscall.Signal) error {
	if c.Ended() {
		return nil
	}
	if err := syscall.Kill(c.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", s, c.pid, err)
	}
	return nil
}

// End sends a signal that ends the program, and waits until it is gone.
func (c *Child) End(s syscall.Signal) error {
	if err := c.Signal(s); err != nil {
		return err
	}
	<-c.done
	c.stdin.Close() // nobody reads from it any more
	return nil
}
