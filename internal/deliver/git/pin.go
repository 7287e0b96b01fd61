package git

import (
	"context"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"

	"github.com/dalamb/dalamb/internal/fault"
)

// A name that leads elsewhere when git, or ssh, asks for it would lead it to where it must not go, such as another service of this machine. So both
// are told the addresses that were looked at.

// pinsSince is the git, 2.x, that knows http.curloptResolve. // git-config(1)
const pinsSince = 37

var saidVersion = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// PinsAddresses says whether a git, by what `git version` prints, can be told the addresses of a host.
func PinsAddresses(said string) bool {
	m := saidVersion.FindStringSubmatch(said)
	if m == nil {
		return false
	}
	major, err := strconv.Atoi(m[1])
	minor, merr := strconv.Atoi(m[2])
	return err == nil && merr == nil && (major > 2 || major == 2 && minor >= pinsSince)
}

// checkPin refuses a server that is named where this machine's git would ask for its address by itself.
func (s *Server) checkPin(ctx context.Context, u *url.URL) error {
	if isAddress(u.Hostname()) {
		return nil
	}
	said, err := s.program.output(ctx, "version")
	if err != nil {
		return err
	}
	if PinsAddresses(string(said)) {
		return nil
	}
	return fault.New(fault.Denied, "the machine's git (%s) asks by itself where %s is, and could be led to another place than the one that was checked", oneLine(string(said)), u.Hostname()).
		WithHint("install git 2.%d or newer there; or fetch by ssh, or name the server by its address", pinsSince)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// sshPin is what ssh is told of a host that was looked at: its address, and how its list of hosts calls it. // ssh_config(5)
func sshPin(u *url.URL, address string) []string {
	if isAddress(u.Hostname()) {
		return nil
	}
	name := u.Hostname()
	if port := u.Port(); port != "" && port != "22" {
		name = "[" + name + "]:" + port
	}
	return []string{"HostName=" + address, "HostKeyAlias=" + name}
}
