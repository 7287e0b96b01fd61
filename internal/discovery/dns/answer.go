package dns

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/dalamb/dalamb/internal/discovery"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	// zone is where services are.
	zone = "dalamb."
	// ttl is how long an answer may be kept, in seconds: instances come and go.
	ttl = 5
	// mostAnswers bounds the instances in one answer.
	mostAnswers = 64

	plainUDP = 512  // RFC 1035, section 4.2.1
	mostUDP  = 1232 // that is not cut into fragments anywhere; DNS Flag Day 2020
	mostTCP  = 65535
)

// answer gives the reply to a query, of at most so many bytes; nil = there is none to be given.
func answer(v *discovery.View, query []byte, most int) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response {
		return nil
	}
	r := reply{most: most, header: dnsmessage.Header{ID: h.ID, Response: true, OpCode: h.OpCode, RecursionDesired: h.RecursionDesired}}
	q, err := p.Question()
	if err != nil {
		return r.refuse(dnsmessage.RCodeFormatError)
	}
	if _, err := p.Question(); err != dnsmessage.ErrSectionDone {
		return r.refuse(dnsmessage.RCodeFormatError)
	}
	if h.OpCode != 0 {
		return r.refuse(dnsmessage.RCodeNotImplemented)
	}
	r.question = &q
	r.extended(&p)
	name := strings.ToLower(q.Name.String())
	if q.Class != dnsmessage.ClassINET || name != zone && !strings.HasSuffix(name, "."+zone) {
		return r.refuse(dnsmessage.RCodeRefused)
	}
	r.header.Authoritative = true
	r.find(v, strings.TrimSuffix(strings.TrimSuffix(name, zone), "."))
	return r.pack()
}

// reply is made of one query.
type reply struct {
	header      dnsmessage.Header
	question    *dnsmessage.Question
	answers     []dnsmessage.Resource
	additionals []dnsmessage.Resource
	edns        bool
	most        int
}

func (r *reply) refuse(code dnsmessage.RCode) []byte {
	r.header.RCode = code
	return r.pack()
}

// extended looks how large an answer by UDP may be. RFC 6891, section 6.2.3
func (r *reply) extended(p *dnsmessage.Parser) {
	if p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return
	}
	for {
		h, err := p.AdditionalHeader()
		if err != nil {
			return
		}
		if h.Type == dnsmessage.TypeOPT {
			r.edns = true
			if r.most == plainUDP {
				r.most = min(max(plainUDP, int(h.Class)), mostUDP)
			}
			return
		}
		if p.SkipAdditional() != nil {
			return
		}
	}
}

// find answers for a name below the zone, in lower case and without its last dot: SERVICE, INSTANCE.SERVICE or _SERVICE._tcp (RFC 2782).
func (r *reply) find(v *discovery.View, name string) {
	if name == "" { // the zone itself is there
		return
	}
	instance, service := "", name
	if one, is := strings.CutSuffix(name, "._tcp"); is && strings.HasPrefix(one, "_") {
		service = one[1:]
	} else if at := strings.LastIndexByte(name, '.'); at >= 0 {
		instance, service = name[:at], name[at+1:]
	}
	s, err := v.Service(service)
	if err != nil {
		r.header.RCode = dnsmessage.RCodeNameError
		return
	}
	if instance != "" {
		at := slices.IndexFunc(s.Instances, func(i function.ServiceInstance) bool { return strings.EqualFold(i.Instance, instance) })
		if at < 0 {
			r.header.RCode = dnsmessage.RCodeNameError
			return
		}
		r.address(&r.answers, r.question.Name, &s.Instances[at], r.question.Type)
		return
	}
	well := s.Healthy()
	rand.Shuffle(len(well), func(i, j int) { well[i], well[j] = well[j], well[i] })
	if len(well) > mostAnswers {
		well = well[:mostAnswers]
	}
	for i := range well {
		switch t := r.question.Type; t {
		case dnsmessage.TypeSRV:
			r.service(&well[i])
		default:
			r.address(&r.answers, r.question.Name, &well[i], t)
		}
	}
}

// address adds the record of an instance's address, where that is one and of the family that is asked for.
func (r *reply) address(to *[]dnsmessage.Resource, name dnsmessage.Name, i *function.ServiceInstance, t dnsmessage.Type) {
	host, _, _ := net.SplitHostPort(i.Address)
	a, err := netip.ParseAddr(host)
	if err != nil {
		return
	}
	h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}
	switch a = a.Unmap(); {
	case a.Is4() && (t == dnsmessage.TypeA || t == dnsmessage.TypeALL):
		*to = append(*to, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
	case a.Is6() && (t == dnsmessage.TypeAAAA || t == dnsmessage.TypeALL):
		*to = append(*to, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
	}
}

// service adds the record of where an instance is, and its address beside that.
func (r *reply) service(i *function.ServiceInstance) {
	host, text, _ := net.SplitHostPort(i.Address)
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return // not in a registration that was checked
	}
	named := host
	if _, err := netip.ParseAddr(host); err == nil {
		named = i.Instance + "." + i.Service + "." + zone
	}
	target, err := dnsmessage.NewName(strings.TrimSuffix(named, ".") + ".")
	if err != nil {
		return // longer than a name may be
	}
	r.answers = append(r.answers, dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: r.question.Name, Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.SRVResource{Weight: uint16(i.Weight), Port: uint16(port), Target: target},
	})
	r.address(&r.additionals, target, i, dnsmessage.TypeALL)
}

// pack writes the reply. What is too large is left out: first what was not asked for, then the answers, with the mark that asks to come again by TCP.
func (r *reply) pack() []byte {
	m := dnsmessage.Message{Header: r.header, Answers: r.answers, Additionals: r.additionals}
	if r.question != nil {
		m.Questions = []dnsmessage.Question{*r.question}
	}
	if r.header.Authoritative && len(r.answers) == 0 {
		m.Authorities = []dnsmessage.Resource{authority()}
	}
	for {
		whole := m
		if r.edns {
			whole.Additionals = append(slices.Clone(m.Additionals), extension())
		}
		text, err := whole.Pack()
		switch {
		case err != nil && whole.RCode != dnsmessage.RCodeServerFailure: // who asks shall not wait for an answer, and ask again
			m = dnsmessage.Message{Header: r.header, Questions: m.Questions}
			m.RCode = dnsmessage.RCodeServerFailure
		case err != nil:
			return nil // the question's name cannot be written again
		case len(text) <= r.most:
			return text
		case len(m.Additionals) > 0:
			m.Additionals = nil
		case len(m.Answers) > 0:
			m.Answers, m.Truncated = nil, true
		default:
			return nil
		}
	}
}

func extension() dnsmessage.Resource {
	var h dnsmessage.ResourceHeader
	_ = h.SetEDNS0(mostUDP, dnsmessage.RCodeSuccess, false) // fails for no size
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{}}
}

// authority says how long it may be kept that there is nothing. RFC 2308, section 3
func authority() dnsmessage.Resource {
	name := dnsmessage.MustNewName(zone)
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.SOAResource{NS: name, MBox: name, Serial: 1, Refresh: ttl, Retry: ttl, Expire: ttl, MinTTL: ttl},
	}
}
