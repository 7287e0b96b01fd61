package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// child is a program that runs beside the bench until it is stopped.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // valid when exited is closed
}

func startChild(cmd *exec.Cmd) (*child, error) {
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &child{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// stop asks the program to end, and makes it.
func (p *child) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // gone already is what we want
	select {
	case <-p.exited:
		return nil
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("%s did not end within 20 s of SIGTERM", p.cmd.Path)
	}
}

// kill ends the program as a power cut would.
func (p *child) kill() error {
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.cmd.Path, err)
	}
	<-p.exited
	return nil
}

// plainServer starts an HTTP program as an ordinary process on a free port, and returns once it answers.
func plainServer(ctx context.Context, command ...string) (url string, p *child, err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(environment(), fmt.Sprint("PORT=", port))
	if p, err = startChild(cmd); err != nil {
		return "", nil, err
	}
	address := fmt.Sprint("127.0.0.1:", port)
	return "http://" + address + "/", p, p.listens(address)
}

// listens blocks until the program takes connections.
func (p *child) listens(address string) error {
	for {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			return nc.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended before it answered: %w", p.cmd.Path, p.err)
		case <-time.After(time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// bareLoop starts hack/bench/testdata/bare over the lambda program.
func (b *bench) bareLoop(ctx context.Context, instances int) (url string, err error) {
	bare, err := b.program(ctx, "bare")
	if err != nil {
		return "", err
	}
	lambda, err := b.program(ctx, "lambda")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, bare, fmt.Sprint(instances), lambda)
	cmd.Stderr = io.Discard // the programs complain when the loop ends
	out, in, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd.Stdout = in
	p, err := startChild(cmd)
	in.Close()
	if err != nil {
		return "", err
	}
	b.atEnd(p.stop)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "", errors.Join(fmt.Errorf("the bare loop did not start: %w", err), p.stop())
	}
	return "http://" + strings.TrimSpace(address) + "/", nil
}

// environment is what both a sandboxed program and its yardstick get: some interpreters start slower or faster by it.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LANG=C.UTF-8"}
}

// forkExec runs a program to its first byte of output, waits for its end, and returns how long each took from the start.
func forkExec(command []string, stdin string) (first, all time.Duration, err error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = environment()
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	_, readErr := io.ReadFull(out, make([]byte, 1))
	first = time.Since(begun)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return 0, 0, fmt.Errorf("run %s: %w", command[0], err)
	}
	return first, time.Since(begun), nil
}
