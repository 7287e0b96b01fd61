package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const binary = "bin/dalamb"

// node is the dalamb process of the demo.
type node struct {
	data    string
	cmd     *exec.Cmd
	exited  chan error
	control string
	gateway string
}

// startNode starts a node and waits until it is ready. Where the machine cannot fence functions it says so, and runs them without.
func startNode(data, runner string) (*node, error) {
	n, said, err := tryNode(data, runner)
	if err == nil || runner != "" || !strings.Contains(said, "--runner process") {
		return n, err
	}
	fmt.Printf("\nThis machine cannot fence functions:\n%s\nTHE DEMO RUNS THEM WITHOUT ISOLATION (--runner process).\n\n", said)
	n, _, err = tryNode(data, "process")
	return n, err
}

func tryNode(data, runner string) (*node, string, error) {
	args := []string{"up", "--data", data, "--gateway", address("127.0.0.1:8080"), "--control", address("127.0.0.1:8081")}
	if runner != "" {
		args = append(args, "--runner", runner)
	}
	fmt.Println(binary, strings.Join(args, " "))
	n := &node{data: data, cmd: exec.Command(binary, args...), exited: make(chan error, 1)}
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo: it asks the node to stop, once
	log, err := os.OpenFile(filepath.Join(data, "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", err
	}
	var said strings.Builder
	n.cmd.Stderr = io.MultiWriter(log, &said)
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		log.Close()
		return nil, "", fmt.Errorf("start the node (make build makes %s): %w", binary, err)
	}
	go func() {
		defer log.Close()
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(log, lines.Text())
		}
		n.exited <- n.cmd.Wait()
	}()
	tick, late := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !n.ready() {
		select {
		case err := <-n.exited:
			n.exited <- err
			return nil, said.String(), fmt.Errorf("the node did not start: %w\n%s", err, said.String())
		case <-late:
			return nil, "", errors.Join(fmt.Errorf("the node is not ready after %s (see %s)", patience, log.Name()), n.stop())
		case <-tick.C:
		}
	}
	return n, "", nil
}

// ready reads where the node listens, once it says so.
func (n *node) ready() bool {
	text, err := os.ReadFile(filepath.Join(n.data, "node.json"))
	if err != nil {
		return false
	}
	var info struct {
		Control, Gateway string
		PID              int
		Waiting          bool
	}
	if json.Unmarshal(text, &info) != nil || info.PID != n.cmd.Process.Pid || info.Waiting {
		return false
	}
	n.control, n.gateway = info.Control, info.Gateway
	return true
}

// address is the wanted one when it is free, else any port of the same host.
func address(wanted string) string {
	l, err := net.Listen("tcp", wanted)
	if err != nil {
		return "127.0.0.1:0"
	}
	l.Close()
	return wanted
}

// dalamb is the command line against this node.
func (n *node) dalamb(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "DALAMB_DATA="+n.data)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// send puts an order.requested event for each order into the log, with one command.
func (n *node) send(orders []order) error {
	var lines strings.Builder
	for _, o := range orders {
		line, err := json.Marshal(o.event())
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	file := filepath.Join(n.data, "orders.ndjson")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		return err
	}
	cmd := n.dalamb("emit", "-f", file)
	cmd.Stdout = nil
	return cmd.Run()
}

// follow feeds the board with every event from the beginning of the topic, and with the dead letters, until all orders are done.
func (n *node) follow(ctx context.Context, b *board) error {
	cmd := n.dalamb("events", "--topic", "events", "--from", "earliest", "-f", "-o", "json")
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(out)
		in.Buffer(nil, 8<<20)
		for in.Scan() {
			select {
			case lines <- append([]byte(nil), in.Bytes()...):
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for !b.done() {
		select {
		case line, ok := <-lines:
			if !ok {
				return errors.New("dalamb events ended")
			}
			b.take(line)
		case <-tick.C:
			if err := n.deadLetters(b); err != nil {
				return err
			}
			b.draw()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// deadLetters marks the orders whose payment is dead.
func (n *node) deadLetters(b *board) error {
	var letters []struct {
		Run struct {
			Attempts []json.RawMessage
			Event    struct{ Subject string }
		}
	}
	if err := n.read(&letters, "dlq", "ls", "--function", "pay", "--limit", "1000", "-o", "json"); err != nil {
		return err
	}
	for _, l := range letters {
		b.dead(l.Run.Event.Subject, len(l.Run.Attempts))
	}
	return nil
}

// checkMails sees that the mailer ran twice for each order that arrived: it emits nothing that the board could show.
func (n *node) checkMails(b *board) error {
	want := 2 * b.count(delivered)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		var runs []struct{ State string }
		if err := n.read(&runs, "runs", "--function", "mailer", "--state", "succeeded", "--limit", "10000", "-o", "json"); err != nil {
			return err
		}
		if len(runs) >= want {
			fmt.Printf("mailer sent %d mails\n", len(runs))
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mailer sent %d mails, want %d", len(runs), want)
		}
	}
}

// read decodes what a command prints.
func (n *node) read(into any, args ...string) error {
	cmd := n.dalamb(args...)
	cmd.Stdout = nil
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("dalamb %s: %w", strings.Join(args, " "), err)
	}
	return json.Unmarshal(out, into)
}

// suggest prints what to try on the node that stays up.
func (n *node) suggest(orders []order) {
	fmt.Printf(`
The node stays up until Ctrl-C. In another terminal:

  export DALAMB_DATA=%[1]s

  # an order of your own, from anything that can send HTTP
  curl -H "Authorization: Bearer $(cat $DALAMB_DATA/token)" -H "Content-Type: application/json" \
    "%[2]s/_/events?type=order.requested&source=/me&subject=my-1&key=my-1" \
    -d '{"order":"my-1","items":[{"sku":"tea","quantity":2,"price":4.5}],"card":"ok"}'

  %[3]s events --filter '{"subject":["my-1"]}'       # what happened to it
  %[3]s runs --function pay                          # every run, with its attempts
  %[3]s dlq ls                                       # what nobody could pay
  %[3]s dlq show ID                                  # ... and why, attempt by attempt
  %[3]s logs mailer                                  # what the functions print
  %[3]s functions pay

A further demo on the same data goes on from here; rm -r %[1]s begins anew.
`, n.data, n.gateway, binary)
}

// stop asks the node to end and waits; a second call does nothing.
func (n *node) stop() error {
	n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-n.exited:
		n.exited <- err
		if err != nil {
			return fmt.Errorf("the node stopped badly: %w (see %s)", err, filepath.Join(n.data, "node.log"))
		}
		return nil
	case <-time.After(30 * time.Second):
		n.cmd.Process.Kill()
		return errors.New("the node did not stop within 30 s")
	}
}
