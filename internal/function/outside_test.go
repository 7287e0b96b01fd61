package function

import (
	"slices"
	"testing"
)

func TestOutsideIsWhatLeadsBeyondTheInternet(t *testing.T) {
	for _, c := range []struct{ address, want string }{
		{"http://8.8.8.8:80", ""}, {"https://[2606:4700::1111]", ""},
		{"http://127.0.0.1:9092", "x"}, {"http://localhost:80", "x"}, {"http://169.254.169.254", "x"}, {"http://10.0.0.1", "x"}, {"http://100.100.100.200", "x"},
		{"http://[::1]:80", "x"}, {"http://[::ffff:10.0.0.1]", "x"}, {"http://[::ffff:8.8.8.8]", ""}, {"http://[fe80::1]", "x"}, {"http://[fd00:ec2::254]", "x"}, {"http://[64:ff9b::7f00:1]", "x"},
		{"http://api.example.com", "x"},
	} {
		s := Spec{Triggers: []Trigger{{Route: &Route{Upstream: &Upstream{Static: []UpstreamServer{{Address: c.address}}}}}}}
		if got := s.Outside(); (len(got) > 0) != (c.want != "") {
			t.Errorf("a server %s: Outside() = %q", c.address, got)
		}
	}
	for _, c := range []struct {
		to      string
		outside bool
	}{
		{Internet, false}, {"8.8.8.0/24", false}, {"8.8.8.8", false}, {"10.0.0.0/8", true}, {"169.254.169.254", true}, {"128.0.0.0/1", true}, {"192.168.7.1", true},
	} {
		s := Spec{Network: NetworkEgress, Allow: []Allowed{{To: c.to}}}
		if got := s.Outside(); (len(got) > 0) != c.outside {
			t.Errorf("allow %s: Outside() = %q, want %v", c.to, got, c.outside)
		}
	}
	s := Spec{Network: NetworkHost, Triggers: []Trigger{
		{Route: &Route{Upstream: &Upstream{Service: "search"}}}, {Route: &Route{Upstream: &Upstream{Service: "search"}}},
		{Route: &Route{Upstream: &Upstream{Kubernetes: &UpstreamKubernetes{Service: "s", Namespace: "beta"}}}},
		{Route: &Route{Upstream: &Upstream{Consul: &UpstreamConsul{URL: "http://c", Service: "s"}}}},
		{Route: &Route{Upstream: &Upstream{Etcd: &UpstreamEtcd{URL: "http://e", Prefix: "/s"}}}},
		{Route: &Route{Upstream: &Upstream{DNS: &UpstreamDNS{Name: "s.internal"}}}},
	}}
	want := []string{
		"network: host", "upstream: consul: http://c s", "upstream: dns: s.internal  0 ", "upstream: etcd: http://e /s", "upstream: kubernetes: beta/s  ", "upstream: service: search",
	}
	if got := s.Outside(); !slices.Equal(got, want) {
		t.Errorf("Outside() = %q, want %q", got, want)
	}
}
