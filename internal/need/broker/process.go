package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// started is what Kafka logs once it takes requests.
const started = "Kafka Server started"

var errNotRunning = errors.New("the broker does not run")

// guard starts a command, prints its process id, and returns with its exit code. The command is killed, and the directory $1 is
// removed, when standard input ends: that is when whoever started the guard has died.
const guard = `dir=$1; shift
exec 3<&0 </dev/null
"$@" >"$dir/out" 2>&1 &
pid=$!
trap 'kill -9 $pid; wait $pid; rm -rf "$(dirname "$dir")"; exit 1' USR1
( read -r _ <&3; kill -USR1 $$ ) >/dev/null 2>&1 &
watch=$!
echo $pid
exec 1>&- 2>&-
wait $pid
code=$?
kill -9 $watch
exit $code`

// process is one broker.
type process struct {
	number int // from 1
	dir    string
	ports  []int // of each listener, then of the controller

	mu    sync.Mutex
	pid   int           // 0 = does not run
	stdin io.Closer     // of the guard; closing it ends the broker
	done  chan struct{} // closed when the guard has returned
	err   error         // of the guard; valid when done is closed
}

func (p *process) data() string       { return filepath.Join(p.dir, "data") }
func (p *process) properties() string { return filepath.Join(p.dir, "server.properties") }
func (p *process) output() string     { return filepath.Join(p.dir, "out") }

func (p *process) address(l Listener) string {
	return "127.0.0.1:" + strconv.Itoa(p.ports[l])
}

// start runs command as the broker and waits until it serves.
func (p *process) start(ctx context.Context, command []string) error {
	if err := p.launch(command); err != nil {
		return err
	}
	if err := p.ready(ctx); err != nil {
		return errors.Join(err, p.end(syscall.SIGKILL))
	}
	return nil
}

func (p *process) launch(command []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 {
		return fmt.Errorf("broker %d runs already", p.number)
	}
	// What it said in an earlier life is not about this one.
	if err := os.Remove(p.output()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start broker %d: %w", p.number, err)
	}
	cmd := exec.Command("sh", append([]string{"-c", guard, "guard", p.dir}, command...)...)
	// A group of its own: Ctrl-C at a terminal is for the one who started the brokers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start broker %d: %w", p.number, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start broker %d: %w", p.number, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start broker %d: %w", p.number, err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	pid, errPID := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, errPID); err != nil {
		stdin.Close()
		return errors.Join(fmt.Errorf("start broker %d: %w", p.number, err), cmd.Wait())
	}
	done := make(chan struct{})
	p.pid, p.stdin, p.done = pid, stdin, done
	go func() { // ends with the broker; end waits for it
		err := cmd.Wait()
		p.mu.Lock()
		p.pid, p.err = 0, err
		p.mu.Unlock()
		close(done)
	}()
	return nil
}

// ready waits until the broker says that it has started.
func (p *process) ready(ctx context.Context) error {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	tick := newTicker()
	defer tick.Stop()
	for {
		out, err := os.ReadFile(p.output())
		if err == nil && bytes.Contains(out, []byte(started)) {
			return nil
		}
		select {
		case <-tick.C:
		case <-done:
			return fmt.Errorf("broker %d ended before it served:\n%s", p.number, tail(out))
		case <-ctx.Done():
			return fmt.Errorf("wait for broker %d: %w; its last words:\n%s", p.number, ctx.Err(), tail(out))
		}
	}
}

// tail is the end of a broker's output.
func tail(out []byte) []byte {
	const most = 4096
	return out[max(0, len(out)-most):]
}

func (p *process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid == 0 {
		return fmt.Errorf("broker %d: %w", p.number, errNotRunning)
	}
	if err := syscall.Kill(p.pid, s); err != nil {
		return fmt.Errorf("send %s to broker %d: %w", s, p.number, err)
	}
	return nil
}

// end sends a signal and waits until the broker is gone.
func (p *process) end(s syscall.Signal) error {
	if err := p.signal(s); err != nil {
		return err
	}
	p.mu.Lock()
	done, stdin := p.done, p.stdin
	p.mu.Unlock()
	<-done
	stdin.Close() // nobody reads from it any more
	return nil
}
