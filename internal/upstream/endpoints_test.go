package upstream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/function"
)

func TestEndpointsAreServers(t *testing.T) {
	const http80 = `"ports":[{"name":"http","protocol":"TCP","port":80}]`
	one := func(text string) string { return `{"addressType":"IPv4","endpoints":[` + text + `],` + http80 + `}` }
	for _, c := range []struct {
		name   string
		port   string
		slices []string
		want   string // servers, or an error
	}{
		{"nothing", "", nil, ""},
		{"no endpoints", "", []string{`{"addressType":"IPv4","endpoints":null,"ports":null}`}, ""},
		{"no conditions", "", []string{one(`{"addresses":["10.0.0.1"]}`)}, "10.0.0.1:80"},
		{"no address", "", []string{one(`{"addresses":[]}`)}, ""},
		{"more addresses", "", []string{one(`{"addresses":["10.0.0.1","10.0.0.2"]}`)}, "10.0.0.1:80"},
		{"not ready", "", []string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":false,"serving":false,"terminating":false}}`)}, "10.0.0.1:80 not ready"},
		{"it stops", "", []string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":true}},{"addresses":["10.0.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true}}`)}, "10.0.0.1:80, 10.0.0.2:80 stops"},
		{"all stop", "", []string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":false}},{"addresses":["10.0.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true}}`)}, "10.0.0.1:80 not ready, 10.0.0.2:80"},
		{"it has stopped", "", []string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":false,"serving":false,"terminating":true}}`)}, ""},
		{"serving is as ready", "", []string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":false,"terminating":true}}`)}, ""},
		{"ready though it stops", "", []string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":true,"terminating":true}}`)}, "10.0.0.1:80"},
		{"in many slices", "", append(slices.Repeat([]string{one(`{"addresses":["10.0.0.1"],"conditions":{"ready":false}}`)}, 40), one(`{"addresses":["10.0.0.1"]}`)), "10.0.0.1:80"},
		{"IPv6", "", []string{`{"addressType":"IPv6","endpoints":[{"addresses":["fd00::1"]}],` + http80 + `}`}, "[fd00::1]:80"},
		{"both", "", []string{
			one(`{"addresses":["10.0.0.1"],"targetRef":{"uid":"p1"}}`),
			`{"addressType":"IPv6","endpoints":[{"addresses":["fd00::1"],"targetRef":{"uid":"p1"}},{"addresses":["fd00::2"],"targetRef":{"uid":"p2"}},{"addresses":["fd00::3"]}],` + http80 + `}`,
		}, "10.0.0.1:80, [fd00::2]:80, [fd00::3]:80"},
		{"a name of a host", "", []string{`{"addressType":"FQDN","endpoints":[{"addresses":["a.example"]}],` + http80 + `}`}, "a.example:80"},
		{"a named port", "admin", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"name":"http","port":80},{"name":"admin","port":81}]}`}, "10.0.0.1:81"},
		{"a number", "81", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"name":"http","port":80},{"name":"admin","port":81}]}`}, "10.0.0.1:81"},
		{"different numbers", "http", []string{one(`{"addresses":["10.0.0.1"]}`), `{"endpoints":[{"addresses":["10.0.0.2"]}],"ports":[{"name":"http","port":8080}]}`}, "10.0.0.1:80, 10.0.0.2:8080"},
		{"one of TCP", "", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"name":"dns","protocol":"UDP","port":53},{"name":"http","port":80}]}`}, "10.0.0.1:80"},
		{"any port", "8080", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"name":"","port":null}]}`}, "10.0.0.1:8080"},
		{"no ports, a number", "8080", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":null}`}, "10.0.0.1:8080"},
		{"no ports", "", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":null}`}, "service default/search says of no port; write in kubernetes.port on which number its endpoints listen"},
		{"two ports", "", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"name":"http","port":80},{"name":"admin","port":81}]}`}, "does not have one port of TCP but admin 81/TCP, http 80/TCP; say in kubernetes.port which"},
		{"another port", "web", []string{one(`{"addresses":["10.0.0.1"]}`)}, "service default/search has no port web of TCP; it has http 80/TCP"},
		{"of UDP alone", "dns", []string{`{"endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"name":"dns","protocol":"UDP","port":53}]}`}, "has no port dns of TCP; it has dns 53/UDP"},
		{"an odd port", "web", []string{`{"endpoints":[{}],"ports":[{"name":"\u001b[2J","port":80}]}`}, "it has ? 80/TCP"},
		{"many ports", "web", []string{`{"endpoints":[{}],"ports":[{"port":1},{"port":2},{"port":3},{"port":4},{"port":5},{"port":6},{"port":7}]}`}, "it has 1/TCP, 2/TCP, 3/TCP, 4/TCP, 5/TCP and 2 more"},
		{"another port of nobody", "web", []string{one("")}, ""},
	} {
		found := newEndpoints(&function.UpstreamKubernetes{Service: "search", Port: c.port}, "http")
		for i, text := range c.slices {
			var s endpointSlice
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			s.Metadata.Name = fmt.Sprint(i)
			if err := found.put(&s); err != nil {
				t.Errorf("%s: put = %v", c.name, err)
			}
		}
		list, err := found.servers()
		var all []string
		for _, s := range list {
			unwell := map[string]string{"": "", "it is not ready in Kubernetes": " not ready", "Kubernetes stops it": " stops"}[s.Unwell]
			all = append(all, s.Address+unwell)
		}
		slices.Sort(all)
		got := strings.Join(all, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
