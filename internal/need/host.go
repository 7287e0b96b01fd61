package need

import (
	"net"
	"testing"
	"time"
)

// Hosts needs servers of the internet that take connections on port 443, and returns their addresses, of IPv4.
func Hosts(t testing.TB, names ...string) []net.IP {
	t.Helper()
	var all []net.IP
	for _, name := range names {
		c, err := net.DialTimeout("tcp4", net.JoinHostPort(name, "443"), 5*time.Second)
		if err != nil {
			missing(t, "the internet: "+err.Error())
			return nil
		}
		all = append(all, c.RemoteAddr().(*net.TCPAddr).IP)
		c.Close()
	}
	return all
}
