// Package need says what a test needs of the machine, and skips the test by name where the machine has it not.
// With DALAMB_NO_SKIP=1 a missing need fails the test instead. What DALAMB_WITHOUT names (kafka) is left out whatever the machine has,
// for a run that stands for a machine without it, beside another run that is complete: make test-bare. It does not install anything: make tools does.
package need

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// Program needs an executable on PATH and returns where it is.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "program "+name)
	}
	return path
}

// Root needs to run as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root")
	}
}

// Linux needs the Linux kernel.
func Linux(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		missing(t, "linux")
	}
}

// That needs ok to be true; what names the need in the skip line.
func That(t testing.TB, ok bool, what string) {
	t.Helper()
	if !ok {
		missing(t, what)
	}
}

// Fetched needs what a command fetches from elsewhere, run in dir: the packages of a language, which its tool keeps afterwards.
func Fetched(t testing.TB, dir string, command ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("what %q fetches: %v\n%s", command, err, out))
	}
}

// leftOut says that a need is not to be met in this run.
func leftOut(what string) bool { return os.Getenv("DALAMB_WITHOUT") == what }

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DALAMB_NO_SKIP") == "1" {
		t.Fatalf("needs %s, which this machine has not (make tools installs what it can)", what)
		return
	}
	t.Skipf("skipped: needs %s", what)
}

// Address needs the machine to have an address beside loopback's, and returns it.
func Address(t testing.TB) netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatalf("list the machine's addresses: %v", err)
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	missing(t, "an IPv4 address beside loopback's")
	return netip.Addr{}
}
