package function

import (
	"strings"
	"testing"
)

func TestAllow(t *testing.T) {
	const head = "name: a\nentry: {type: lambda, command: [./x]}\n"
	for _, c := range []struct{ text, want string }{
		{"network: egress", ""},
		{"network: egress\nallow: [{to: internet, ports: [443]}, {to: 10.1.0.0/16, ports: [5432, 5433]}, {to: 10.2.3.4}]", ""},
		{"allow: [{to: internet}]", "allow: says where a function with network: egress may connect to, and this one has network: none"},
		{"network: egress\nallow: [{ports: [1]}]", "allow[0].to"},
		{"network: egress\nallow: [{to: intranet}]", `dalamb.yaml:4:14: allow[0].to: "intranet" is neither internet nor a range of IPv4 addresses`},
		{"network: egress\nallow: [{to: 10.1.2.3/16}]", "has bits beyond its length of 16; the range is 10.1.0.0/16"},
		{"network: egress\nallow: [{to: 2001:db8::/32}]", "is not IPv4"},
		{"network: egress\nallow: [{to: '::1'}]", "is not IPv4"},
		{"network: egress\nallow: [{to: 0.0.0.0/0}]", "holds addresses of 0.0.0.0/8, which no function may reach (for every public address: internet)"},
		{"network: egress\nallow: [{to: 127.0.0.1}]", "holds addresses of 127.0.0.0/8"},
		{"network: egress\nallow: [{to: internet, ports: [0]}]", "allow[0].ports[0]: 0 is out of range"},
		{"network: egress\nallow: [{to: internet, ports: [65536]}]", "allow[0].ports[0]: 65536 is out of range"},
		{"network: egress\nallow: [{to: internet, ports: [80, 443, 80]}]", "allow[0].ports[2]: port 80 is there twice"},
		{"network: egress\nallow: [internet]", "allow[0]"},
		{"network: most", "allowed: none, egress, host"},
	} {
		_, err := ParseManifest("dalamb.yaml", []byte(head+c.text))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.text, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q in it", c.text, err, c.want)
		}
	}
}

func FuzzAllowedPrefix(f *testing.F) {
	for _, s := range []string{"internet", "10.0.0.0/8", "10.1.2.3", "::1", "", "10.0.0.1/8", "1.2.3.4/33"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, to string) {
		d := Allowed{To: to}
		p, err := d.Prefix()
		if err == nil && to != Internet && (!p.IsValid() || !p.Addr().Is4() || p != p.Masked()) {
			t.Errorf("Prefix(%q) = %v, which is no range of IPv4", to, p)
		}
	})
}
