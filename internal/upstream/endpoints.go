package upstream

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// What a service in Kubernetes may have. A slice is bounded there, too: Kubernetes API, discovery.k8s.io/v1 EndpointSlice.
const (
	maxSlices        = 1000
	maxEndpoints     = 10 * function.MaxUpstreamServers // of all slices
	maxSlicePorts    = 100
	maxEndpointsText = 253 // bytes of a name, an address or a version
)

// endpointSlice is some of the endpoints of a service, with the ports that all of these have.
type endpointSlice struct {
	Metadata struct {
		Name            string
		ResourceVersion string
	}
	AddressType string // IPv4, IPv6 or FQDN
	Endpoints   []endpoint
	Ports       []endpointPort
}

type endpoint struct {
	Addresses  []string // those behind the first one have no meaning
	Conditions struct {
		Ready       *bool // nil = it is
		Serving     *bool // nil = as Ready
		Terminating *bool // nil = it is not
	}
	TargetRef struct{ UID string } // of the pod
}

type endpointPort struct {
	Name     string
	Protocol string // "" = TCP
	Port     int    // 0 = any
}

// endpoints are those of a service, as its slices have them.
type endpoints struct {
	rule    *function.UpstreamKubernetes
	scheme  function.UpstreamScheme
	version string                    // that the slices are of
	slices  map[string]*endpointSlice // by name
}

func newEndpoints(rule *function.UpstreamKubernetes, scheme function.UpstreamScheme) *endpoints {
	return &endpoints{rule: rule, scheme: scheme, slices: map[string]*endpointSlice{}}
}

// put takes a slice, in the place of the one that had its name.
func (e *endpoints) put(s *endpointSlice) error {
	long := len(s.Metadata.Name) > maxEndpointsText || len(s.Ports) > maxSlicePorts
	for _, p := range s.Ports {
		long = long || len(p.Name) > maxEndpointsText
	}
	for i := range s.Endpoints {
		one := &s.Endpoints[i]
		one.Addresses = one.Addresses[:min(1, len(one.Addresses))]
		long = long || len(one.TargetRef.UID) > maxEndpointsText || len(one.Addresses) > 0 && len(one.Addresses[0]) > maxEndpointsText
	}
	if long {
		return fmt.Errorf("an EndpointSlice of service %s has more in it than Kubernetes allows", e.rule.Name())
	}
	e.slices[s.Metadata.Name] = s
	all := 0
	for _, s := range e.slices {
		all += len(s.Endpoints)
	}
	if len(e.slices) > maxSlices || all > maxEndpoints {
		return fmt.Errorf("service %s has more than %d EndpointSlices, or %d endpoints", e.rule.Name(), maxSlices, maxEndpoints)
	}
	return nil
}

// move says which version all of it is of.
func (e *endpoints) move(version string) error {
	if version == "" || len(version) > maxEndpointsText {
		return fmt.Errorf("service %s has a resourceVersion of %d bytes", e.rule.Name(), len(version))
	}
	e.version = version
	return nil
}

// grade says when an endpoint gets requests.
type grade int

const (
	never   grade = iota // it stops, and takes nothing more
	waiting              // it is not ready: where nobody else is left
	leaving              // it stops, and serves as long as it does so: where nobody is ready
	ready
)

func (e *endpoint) grade() grade {
	is := func(condition *bool, unknown bool) bool {
		if condition == nil {
			return unknown
		}
		return *condition
	}
	works := is(e.Conditions.Ready, true)
	switch serves, stops := is(e.Conditions.Serving, works), is(e.Conditions.Terminating, false); {
	case works:
		return ready
	case stops && serves:
		return leaving
	case stops:
		return never
	}
	return waiting
}

// servers are the endpoints that listen on the port that is asked for. One that moves between slices is in both for a while, and a pod that has addresses of
// both kinds is in slices of both: it is one server, by IPv4.
func (e *endpoints) servers() ([]Server, error) {
	best := map[string]grade{} // by address
	old := e.pods("IPv4")
	listens, most := false, never
	for _, s := range e.slices {
		port := s.port(e.rule.Port)
		if port == 0 {
			continue
		}
		for i := range s.Endpoints {
			listens = true
			one := &s.Endpoints[i]
			if len(one.Addresses) == 0 || s.AddressType == "IPv6" && old[one.TargetRef.UID] {
				continue
			}
			if t := one.grade(); t != never {
				at := net.JoinHostPort(one.Addresses[0], strconv.Itoa(port))
				best[at] = max(best[at], t)
				most = max(most, t)
			}
		}
	}
	if !listens {
		if err := e.lacksPort(); err != nil {
			return nil, err
		}
	}
	list := make([]Server, 0, len(best))
	for at, t := range best {
		s := Server{Scheme: e.scheme, Address: at}
		switch {
		case t == waiting:
			s.Unwell = "it is not ready in Kubernetes"
		case t == leaving && most == ready:
			s.Unwell = "Kubernetes stops it"
		}
		list = append(list, s)
	}
	return list, nil
}

// pods are those that have an address of a type, with the port that is asked for.
func (e *endpoints) pods(addressType string) map[string]bool {
	all := map[string]bool{}
	for _, s := range e.slices {
		if s.AddressType != addressType || s.port(e.rule.Port) == 0 {
			continue
		}
		for _, one := range s.Endpoints {
			if one.TargetRef.UID != "" && len(one.Addresses) > 0 && one.grade() != never {
				all[one.TargetRef.UID] = true
			}
		}
	}
	return all
}

// port is where the endpoints of a slice listen, of those ports that are of TCP; 0 = nowhere that is asked for.
func (s *endpointSlice) port(want string) int {
	number, err := strconv.Atoi(want)
	if err != nil {
		number = 0 // it is a name
	}
	if len(s.Ports) == 0 {
		return number // a service without ports: the endpoints listen where they like
	}
	var ports []endpointPort
	for _, p := range s.Ports {
		if p.Protocol == "" || p.Protocol == "TCP" {
			ports = append(ports, p)
		}
	}
	if want == "" && len(ports) == 1 {
		return ports[0].Port
	}
	for _, p := range ports {
		switch {
		case number != 0 && (p.Port == number || p.Port == 0):
			return number
		case number == 0 && want != "" && p.Name == want:
			return p.Port
		}
	}
	return 0
}

// lacksPort says what ports there are where there are endpoints, and none of them has the one that is asked for.
func (e *endpoints) lacksPort() error {
	var has []string
	for _, s := range e.slices {
		for _, p := range s.Ports {
			if len(s.Endpoints) > 0 {
				has = append(has, strings.TrimSpace(fmt.Sprintf("%s %d/%s", clipped(p.Name), p.Port, cmp.Or(clipped(p.Protocol), "TCP"))))
			}
		}
	}
	slices.Sort(has)
	has = slices.Compact(has)
	switch {
	case len(has) == 0 && e.empty():
		return nil
	case len(has) == 0:
		return fmt.Errorf("service %s says of no port; write in kubernetes.port on which number its endpoints listen", e.rule.Name())
	case e.rule.Port == "":
		return fmt.Errorf("service %s does not have one port of TCP but %s; say in kubernetes.port which", e.rule.Name(), listing(has))
	}
	return fmt.Errorf("service %s has no port %s of TCP; it has %s", e.rule.Name(), e.rule.Port, listing(has))
}

func (e *endpoints) empty() bool {
	for _, s := range e.slices {
		if len(s.Endpoints) > 0 {
			return false
		}
	}
	return true
}

// listing names some, for people.
func listing(all []string) string {
	const most = 5
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

// clipped is a text of the API's, for people.
func clipped(text string) string {
	if quoted := strconv.Quote(text); len(text) <= 63 && quoted == `"`+text+`"` {
		return text
	}
	return "?"
}
