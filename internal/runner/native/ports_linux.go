package native

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/runner"
)

// Listening implements runner.PortLister.
func (sb *sandbox) Listening() ([]int, error) {
	var ports []int
	err := sb.sockets(func(s socket) {
		if s.state == stateListen && s.port != sb.spec.Listen {
			ports = append(ports, s.port)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list the ports of sandbox %s: %w", sb.spec.ID, err)
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// Waits implements runner.AcceptTeller: what waits to be accepted is no file of anybody yet.
func (sb *sandbox) Waits(from int) (bool, error) {
	waits := false
	err := sb.sockets(func(s socket) {
		open := s.state == stateEstablished || s.state == stateCloseWait
		waits = waits || open && s.port == sb.spec.Port && s.peer == from && s.inode == "0"
	})
	if err != nil {
		return false, fmt.Errorf("look at the connections of sandbox %s: %w", sb.spec.ID, err)
	}
	return waits, nil
}

// socket is a line of the kernel's tables. // proc_pid_net(5), /proc/net/tcp
type socket struct {
	port, peer int
	state      string
	inode      string // "0" = no process has it
}

// States of a socket. // linux, include/net/tcp_states.h
const (
	stateEstablished = "01"
	stateCloseWait   = "08"
	stateListen      = "0A"
)

// sockets calls see for each TCP socket of the sandbox: the init is in the function's network, and the kernel tells of that to everybody.
func (sb *sandbox) sockets(see func(socket)) error {
	if !ownNet(&sb.spec) {
		return errors.ErrUnsupported
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", sb.nest.init.PID, table))
		if errors.Is(err, os.ErrNotExist) && table == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if s, ok := parseSocket(line); ok {
				see(s)
			}
		}
	}
	return nil
}

func parseSocket(line string) (s socket, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return s, false
	}
	port, here := parsePort(f[1])
	peer, there := parsePort(f[2])
	return socket{port: port, peer: peer, state: f[3], inode: f[9]}, here && there
}

// parsePort reads the port of ADDRESS:PORT, both in hexadecimal digits.
func parsePort(address string) (int, bool) {
	_, hex, ok := strings.Cut(address, ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	return int(port), ok && err == nil
}

var (
	_ runner.PortLister   = (*sandbox)(nil)
	_ runner.AcceptTeller = (*sandbox)(nil)
)
