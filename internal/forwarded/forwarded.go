// Package forwarded finds out where a request comes from that came by way of proxies: the client's address, and the scheme and host that it asked
// for. What a proxy says is believed of proxies that are trusted, and of nobody else. It does not change requests.
//
// Proxies say it in one of two ways: Forwarded (RFC 7239), or X-Forwarded-For, -Host and -Proto. Only one of them is read, the one that the proxies
// are known to write: what they do not write a client may have, and they pass it on.
package forwarded

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// The ways in which proxies say it.
const (
	ByX       = "x-forwarded"
	ByRFC7239 = "forwarded"
)

// Trust says whose word is taken. The zero value takes nobody's.
type Trust struct {
	Proxies []netip.Prefix
	Way     string // ByX or ByRFC7239; "" = ByX
}

// Origin is where a request comes from. Scheme and Host are "" where nobody who is trusted said.
type Origin struct {
	Client netip.AddrPort // zero where the peer's address is none of the internet
	Scheme string         // http or https
	Host   string         // as in the field Host
}

// hop is what one proxy said of who asked it.
type hop struct{ from, scheme, host string }

// Of is the origin of a request, as net/http's server has it. Of several proxies each adds who asked it at the right, so the client is the
// right-most that is no trusted proxy; what stands left of it is its own word.
func (t Trust) Of(r *http.Request) Origin {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Origin{}
	}
	o := Origin{Client: plain(peer)}
	if !t.trusts(o.Client.Addr()) {
		return o
	}
	hops := t.hops(r.Header)
	for _, h := range slices.Backward(hops) {
		from, ok := address(h.from)
		if !ok {
			break // a proxy that keeps to itself who asked it: its own address is all that is known
		}
		o.Client = from
		o.Scheme, o.Host = scheme(h.scheme), host(h.host)
		if !t.trusts(from.Addr()) {
			break
		}
	}
	return o
}

func (t Trust) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(t.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func (t Trust) hops(h http.Header) []hop {
	if t.Way == ByRFC7239 {
		return elements(strings.Join(h["Forwarded"], ","))
	}
	from, schemes, hosts := list(h["X-Forwarded-For"]), list(h["X-Forwarded-Proto"]), list(h["X-Forwarded-Host"])
	out := make([]hop, len(from))
	for i := range from {
		out[i] = hop{from: from[i], scheme: beside(schemes, i, len(from)), host: beside(hosts, i, len(from))}
	}
	return out
}

// beside is what stands in a list beside the entry i of n others. Most proxies write scheme and host once, anew; then the last one holds.
func beside(values []string, i, n int) string {
	switch {
	case len(values) == 0:
		return ""
	case len(values) == n:
		return values[i]
	}
	return values[len(values)-1]
}

func list(fields []string) []string {
	if len(fields) == 0 {
		return nil
	}
	out := strings.Split(strings.Join(fields, ","), ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// address reads a node of RFC 7239, section 6, or an address as X-Forwarded-For has it: with a port or without. Names that hide an address
// ("unknown", "_hidden") are none.
func address(text string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(text); err == nil { // 2001:db8::1 too, which X-Forwarded-For has bare
		return plain(netip.AddrPortFrom(a, 0)), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			a, err := netip.ParseAddr(inner)
			return plain(netip.AddrPortFrom(a, 0)), err == nil && a.Is6()
		}
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return plain(a), true
	}
	name, port, ok := strings.Cut(text, ":")
	a, err := netip.ParseAddr(name)
	return plain(netip.AddrPortFrom(a, 0)), ok && err == nil && strings.HasPrefix(port, "_") // a port that is hidden
}

func scheme(text string) string {
	if text = strings.ToLower(text); text == "http" || text == "https" {
		return text
	}
	return ""
}

var validHost = regexp.MustCompile(`^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func host(text string) string {
	if len(text) > 300 || !validHost.MatchString(text) {
		return ""
	}
	return strings.ToLower(text)
}

// elements reads Forwarded: RFC 7239, section 4. One that is malformed says nothing, nor does what stands left of it.
func elements(text string) []hop {
	var out []hop
	for text != "" {
		var h hop
		var ok bool
		if h, text, ok = element(text); !ok {
			out = nil
			if text, ok = skip(text); !ok {
				return nil
			}
			continue
		}
		out = append(out, h)
	}
	return out
}

// element reads up to a comma, or the end.
func element(text string) (h hop, rest string, ok bool) {
	seen := map[string]bool{}
	for {
		text = strings.TrimLeft(text, " \t")
		name, value, after, ok := pair(text)
		if !ok {
			return h, text, false
		}
		name = strings.ToLower(name)
		if seen[name] { // each may occur once
			return h, after, false
		}
		seen[name] = true
		switch name {
		case "for":
			h.from = value
		case "proto":
			h.scheme = value
		case "host":
			h.host = value
		}
		switch text = strings.TrimLeft(after, " \t"); {
		case text == "":
			return h, "", true
		case text[0] == ',':
			return h, text[1:], true
		case text[0] != ';':
			return h, text, false
		}
		text = text[1:]
	}
}

// skip goes on behind the next comma that is in no quotes.
func skip(text string) (rest string, ok bool) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return text[i+1:], true
		}
	}
	return "", false
}

// pair reads token=value, where value is a token or in quotes. RFC 9110, section 5.6.
func pair(text string) (name, value, rest string, ok bool) {
	n := token(text)
	if n == 0 || n >= len(text) || text[n] != '=' {
		return "", "", text, false
	}
	name, text = text[:n], text[n+1:]
	if !strings.HasPrefix(text, `"`) {
		n = token(text)
		return name, text[:n], text[n:], n > 0
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return name, b.String(), text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", "", false
}

func token(s string) int {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return i
		}
	}
	return len(s)
}

// Written is an element of Forwarded for who is asked next. A client whose address is none of the internet stays unknown.
func Written(client, host, scheme string) string {
	var b strings.Builder
	b.WriteString("for=")
	if a, err := netip.ParseAddr(client); err == nil && a.Is6() {
		b.WriteString(`"[` + a.WithZone("").String() + `]"`)
	} else if token(client) == len(client) && client != "" {
		b.WriteString(client)
	} else {
		b.WriteString("unknown")
	}
	if host != "" && validHost.MatchString(host) {
		b.WriteString(";host=")
		if token(host) == len(host) {
			b.WriteString(host)
		} else {
			b.WriteString(`"` + host + `"`)
		}
	}
	return b.String() + ";proto=" + scheme
}

// RemoteAddr is the client as net/http writes it.
func (o Origin) RemoteAddr() string {
	return o.Client.String()
}
