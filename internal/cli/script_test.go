package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dalamb/dalamb/internal/app"
)

const (
	patience = 60 * time.Second // how long a script waits for anything
	interval = 10 * time.Millisecond
)

// setup gives a script a data directory of its own, and the flags that every node of a script has.
func setup(e *testscript.Env) error {
	e.Setenv("DALAMB_DATA", filepath.Join(e.WorkDir, "data"))
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("GORACE", "atexit_sleep_ms=0")    // else every command takes a second longer under the race detector
	kept, err := filepath.Abs("testdata/data") // data directories that earlier versions have written
	if err != nil {
		return err
	}
	e.Setenv("KEPT", kept)
	fn, err := exec.LookPath("fn")
	e.Setenv("FN", fn)
	if busybox, err := exec.LookPath("busybox"); err == nil {
		e.Setenv("BUSYBOX", busybox)
	}
	return err
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// poll calls done until it is true or the patience is over.
func poll(ts *testscript.TestScript, what string, done func() bool) {
	patience := patience
	if own, err := time.ParseDuration(ts.Getenv("PATIENCE")); err == nil { // what is built on a busy machine takes its time
		patience = own
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			ts.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// ready waits until a node of the data directory is up, and sets CONTROL, GATEWAY and TOKEN. ready [DIR]
func ready(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.Getenv("DALAMB_DATA")
	if len(args) == 1 {
		dir = ts.MkAbs(args[0])
	}
	var info app.NodeInfo
	poll(ts, "a node on "+dir, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, app.NodeFile))
		info = app.NodeInfo{} // what is left out of the file is zero
		return err == nil && json.Unmarshal(text, &info) == nil && !info.Waiting
	})
	token, err := os.ReadFile(filepath.Join(dir, app.TokenFile))
	ts.Check(err)
	ts.Setenv("CONTROL", info.Control)
	ts.Setenv("GATEWAY", info.Gateway)
	ts.Setenv("REDIRECT", info.Redirect)
	ts.Setenv("TOKEN", strings.TrimSpace(string(token)))
	ts.Setenv("PID", strconv.Itoa(info.PID))
}

// until runs a command again and again until its standard output has what the pattern says. until PATTERN COMMAND ARGS...
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ARGS...")
	}
	wanted := regexp.MustCompile("(?m)" + args[0])
	var out string
	defer func() { ts.Logf("[last output]\n%s", out) }()
	poll(ts, strings.Join(args, " "), func() bool {
		text, err := command(ts, args[1:]).CombinedOutput()
		out = string(text)
		return (err == nil) != neg && wanted.MatchString(out)
	})
}

// command is a child with the script's environment.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "DALAMB_DATA", "DALAMB_CONTROL", "DALAMB_TOKEN", "DALAMB_CA", "HOME", "TMPDIR", "GORACE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_DISABLED"} {
		if value := ts.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// capture sets a variable to the first group of a pattern in the output of a command. capture NAME PATTERN COMMAND ARGS...
func capture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: capture NAME PATTERN COMMAND ARGS...")
	}
	out, err := command(ts, args[2:]).Output()
	ts.Check(err)
	found := regexp.MustCompile(args[1]).FindSubmatch(out)
	if len(found) != 2 {
		ts.Fatalf("%s is not in the output:\n%s", args[1], out)
	}
	ts.Setenv(args[0], string(found[1]))
}

// exitCode runs a command that must end with a code. exitcode CODE COMMAND ARGS...
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fill writes a file of so many bytes between a beginning and an end. fill FILE SIZE BEGIN END
func fill(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := args[2] + string(bytes.Repeat([]byte("x"), size)) + args[3]
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// expand replaces $FN and the like in files. expand FILE...
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		text := os.Expand(ts.ReadFile(f), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(text), 0o644))
	}
}

// busy takes a port and sets a variable to its address. busy NAME
func busy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// stream reads the first lines of a command that does not end, closes the pipe, and waits: it must then end by itself and say
// nothing on standard error. With INT the command gets Ctrl-C instead, and must exit 0. stream close|INT LINES COMMAND ARGS...
func stream(ts *testscript.TestScript, _ bool, args []string) {
	how := args[0]
	lines, err := strconv.Atoi(args[1])
	ts.Check(err)
	cmd := command(ts, args[2:])
	var said bytes.Buffer
	cmd.Stderr = &said
	r, w, err := os.Pipe()
	ts.Check(err)
	cmd.Stdout = w
	ts.Check(cmd.Start())
	w.Close()
	buffer := make([]byte, 1)
	for lines > 0 {
		n, err := r.Read(buffer)
		if err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			ts.Fatalf("%s ended early: %v\n%s", strings.Join(args[2:], " "), err, said.String())
		}
		lines -= bytes.Count(buffer[:n], []byte("\n"))
	}
	if how == "INT" {
		ts.Check(cmd.Process.Signal(os.Interrupt))
	} else {
		r.Close()
	}
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	err = cmd.Wait()
	if !kill.Stop() {
		ts.Fatalf("%s did not end", strings.Join(args[2:], " "))
	}
	r.Close()
	if said.Len() > 0 {
		ts.Fatalf("%s said on standard error:\n%s", strings.Join(args[2:], " "), said.String())
	}
	if how == "INT" && err != nil {
		ts.Fatalf("%s after Ctrl-C: %v, want exit 0", strings.Join(args[2:], " "), err)
	}
}
