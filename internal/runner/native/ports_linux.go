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

// Listening implements runner.PortLister: the init is in the function's network, and the kernel tells of that to everybody.
func (sb *sandbox) Listening() ([]int, error) {
	if !ownNet(&sb.spec) {
		return nil, fmt.Errorf("list the ports of sandbox %s: %w", sb.spec.ID, errors.ErrUnsupported)
	}
	var ports []int
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", sb.nest.init.PID, table))
		if errors.Is(err, os.ErrNotExist) && table == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("list the ports of sandbox %s: %w", sb.spec.ID, err)
		}
		ports = append(ports, listening(string(text))...)
	}
	slices.Sort(ports)
	ports = slices.Compact(ports)
	return slices.DeleteFunc(ports, func(p int) bool { return p == sb.spec.Listen }), nil
}

// listening reads the ports of sockets in the state LISTEN from a table of sockets. // proc_pid_net(5), /proc/net/tcp
func listening(table string) (ports []int) {
	const listen = "0A" // TCP_LISTEN
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != listen {
			continue
		}
		_, hex, ok := strings.Cut(f[1], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); ok && err == nil {
			ports = append(ports, int(port))
		}
	}
	return ports
}

var _ runner.PortLister = (*sandbox)(nil)
