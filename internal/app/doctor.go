package app

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/doctor"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/runner/oci"
	"github.com/dalamb/dalamb/internal/wire"
)

// doctorPatience is how long a log or a trial sandbox may take.
const doctorPatience = 15 * time.Second

// Doctor looks at this machine as a node with these options would find it. It starts a trial sandbox and asks the log how it is set up,
// and changes nothing; a node may run on the same data directory.
func Doctor(ctx context.Context, o Options) ([]doctor.Finding, error) {
	c := *o.Config
	m, err := doctor.This(c.Data)
	if err != nil {
		return nil, err
	}
	all := m.Look()
	_, err = os.Stat(filepath.Join(c.Data, NodeFile))
	runs := err == nil
	if !runs && !errors.Is(err, fs.ErrNotExist) {
		all = append(all, doctor.Lacking(doctor.Missing, "data directory", "let this user read it, or choose another: --data", "%v", err))
	}
	if !runs {
		for _, l := range []struct{ name, address string }{{"gateway", c.Gateway}, {"control", c.Control}} {
			all = append(all, port(l.name, l.address))
		}
	}
	all = append(all, findGit())
	scratch, err := os.MkdirTemp("", "dalamb-doctor-")
	if err != nil {
		return append(all, doctor.Lacking(doctor.Missing, "sandbox", "set TMPDIR to a directory that this user can write to", "cannot be tried: %v", err)), nil
	}
	defer os.RemoveAll(scratch)
	place := c.Data
	c.Data = scratch // nothing of the real one is touched
	n := &Node{config: &c, logger: o.Logger, stdout: io.Discard, getenv: o.Environment}
	if n.getenv == nil {
		n.getenv = func(string) string { return "" }
	}
	return slices.Concat(all, n.tryRunner(ctx), n.tryOthers(ctx), n.trySinks(ctx), n.tryLog(ctx, place)), nil
}

// machine is what the machine of a node gives it that runs.
func (n *Node) machine() ([]wire.Finding, error) {
	m, err := doctor.This(n.config.Data)
	if err != nil {
		return nil, err
	}
	var all []wire.Finding
	for _, f := range append(m.Look(), findGit()) {
		all = append(all, wire.Finding{Name: f.Name, State: string(f.State), Detail: f.Detail, Remedy: f.Remedy})
	}
	return all, nil
}

// port tries to listen.
func port(name, address string) doctor.Finding {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return doctor.Lacking(doctor.Missing, name, "end what uses the port, or choose another: --"+name, "%v", err)
	}
	l.Close()
	return doctor.Good(name, "%s is free", address)
}

// tryRunner makes a trial sandbox and says what held it.
func (n *Node) tryRunner(ctx context.Context) []doctor.Finding {
	name := n.config.Runner
	a, err := n.try(ctx, name)
	if err != nil {
		return []doctor.Finding{doctor.Lacking(doctor.Missing, "sandbox", fault.HintOf(err), "%v", err)}
	}
	if !a.Isolated {
		return []doctor.Finding{doctor.Lacking(doctor.Warning, "sandbox", "another runner, such as native: dalamb doctor --runner native says whether it can be had here", "the runner %s does not isolate: functions can read and change what this user can", name)}
	}
	all := []doctor.Finding{doctor.Good("sandbox", "the runner %s made one%s and held a program in it", name, withKernel(a))}
	switch lacks := strings.Join(a.Lacks(), ", "); {
	case lacks != "":
		all = append(all, doctor.Lacking(doctor.Warning, "fence", cgroupRemedy, "lacks %s. %s", lacks, strings.Join(a.Notes, " ")))
	case len(a.Notes) > 0:
		all = append(all, doctor.Lacking(doctor.Warning, "fence", cgroupRemedy, "%s", strings.Join(a.Notes, " ")))
	default:
		all = append(all, doctor.Good("fence", "whole: functions with isolation: strict run here; limits on %s", strings.Join(a.Limits, ", ")))
	}
	return append(all, aid("freezing", a.Freezing), aid("disk weight", a.Disk))
}

func aid(name string, a runner.Aid) doctor.Finding {
	if a.Given {
		return doctor.Good(name, "%s", a.Detail)
	}
	return doctor.Lacking(doctor.Warning, name, a.Remedy, "%s", a.Detail)
}

func withKernel(a runner.Ability) string {
	if a.Kernel {
		return ", with a kernel of its own,"
	}
	return ""
}

// tryOthers makes a trial sandbox with each other runner that a function may ask for and whose runtime is installed.
func (n *Node) tryOthers(ctx context.Context) (all []doctor.Finding) {
	for _, runtime := range oci.Runtimes() {
		name := oci.Prefix + runtime
		if _, err := exec.LookPath(runtime); err != nil || name == n.config.Runner {
			continue
		}
		a, err := n.try(ctx, name)
		if err != nil {
			all = append(all, doctor.Lacking(doctor.Warning, name, fault.HintOf(err), "functions with runner: %s are refused: %v", name, err))
			continue
		}
		all = append(all, doctor.Good(name, "made a sandbox%s and held a program in it", withKernel(a)))
	}
	return all
}

// try opens a runner and makes a trial sandbox.
func (n *Node) try(ctx context.Context, name string) (runner.Ability, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	r, err := openRunner(n.config, name, n.logger, nil)
	if err != nil {
		return runner.Ability{}, err
	}
	defer r.Close()
	return r.Check(ctx)
}

const cgroupRemedy = "start the node as root, or as a systemd service with Delegate=yes (systemd-run --user --scope -p Delegate=yes dalamb up); in a container, let it write to its cgroups"

// tryLog asks the log how it is set up. The embedded one is its node's alone, and not opened.
func (n *Node) tryLog(ctx context.Context, data string) []doctor.Finding {
	k := n.config.EventLog.Kafka
	if k == nil {
		return []doctor.Finding{doctor.Good("log", "embedded, in %s", filepath.Join(data, "log"))}
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	l, err := openKafka(n, kafkaUse{cluster: k, as: "-doctor"})
	var notes []string
	if err == nil {
		defer l.Close()
		_, err = l.Topics(ctx)
	}
	if a, ok := l.(eventlog.Adviser); ok && err == nil {
		notes, err = a.Advise(ctx)
	}
	if err != nil {
		remedy := fault.HintOf(err)
		if remedy == "" {
			remedy = "see that a broker runs there and that this machine may reach it; docs/kafka.md"
		}
		return []doctor.Finding{doctor.Lacking(doctor.Missing, "log", remedy, "%s: %v", n.config.EventLog.Place(), err)}
	}
	all := []doctor.Finding{doctor.Good("log", "%s answers", n.config.EventLog.Place())}
	if k.SASL == "plain" && !k.TLS {
		notes = append(notes, plainWithoutTLS)
	}
	for _, note := range notes {
		all = append(all, doctor.Lacking(doctor.Warning, "log", "docs/kafka.md", "%s", note))
	}
	return all
}
