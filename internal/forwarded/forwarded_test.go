package forwarded

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func trust(way string) Trust {
	return Trust{Way: way, Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}}
}

func TestWhereARequestComesFrom(t *testing.T) {
	const proxy = "10.0.0.9:4711"
	type fields map[string][]string
	for _, c := range []struct {
		name, way, peer string
		header          fields
		want            string
	}{
		{"nobody said anything", ByX, "192.0.2.1:1", nil, "192.0.2.1:1  "},
		{"a stranger says what it likes", ByX, "192.0.2.1:1", fields{"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example"}}, "192.0.2.1:1  "},
		{"a stranger by the other way", ByRFC7239, "192.0.2.1:1", fields{"Forwarded": {"for=198.51.100.7;proto=https"}}, "192.0.2.1:1  "},
		{"a proxy says nothing", ByX, proxy, nil, "10.0.0.9:4711  "},
		{"one proxy", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"Shop.example:8443"}}, "198.51.100.7:0 https shop.example:8443"},
		{"with a port", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7:99"}}, "198.51.100.7:99  "},
		{"an address of IPv6", ByX, proxy, fields{"X-Forwarded-For": {"2001:db8::1"}}, "[2001:db8::1]:0  "},
		{"with a port, too", ByX, proxy, fields{"X-Forwarded-For": {"[2001:db8::1]:99"}}, "[2001:db8::1]:99  "},
		{"one of IPv4 in IPv6", ByX, "[::ffff:10.0.0.9]:1", fields{"X-Forwarded-For": {"::ffff:198.51.100.7"}}, "198.51.100.7:0  "},
		{"two proxies", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7, 10.1.1.1"}, "X-Forwarded-Proto": {"https"}}, "198.51.100.7:0 https "},
		{"two proxies in two lines", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7", "10.1.1.1"}, "X-Forwarded-Proto": {"https, http"}}, "198.51.100.7:0 https "},
		{"what the client has put before", ByX, proxy, fields{"X-Forwarded-For": {"127.0.0.1, 198.51.100.7"}}, "198.51.100.7:0  "},
		{"as if it came from a proxy", ByX, proxy, fields{"X-Forwarded-For": {"10.2.2.2, 198.51.100.7, 10.1.1.1"}}, "198.51.100.7:0  "},
		{"proxies alone", ByX, proxy, fields{"X-Forwarded-For": {"10.2.2.2, 10.1.1.1"}}, "10.2.2.2:0  "},
		{"garbage left of the client", ByX, proxy, fields{"X-Forwarded-For": {"<script>, , 198.51.100.7"}}, "198.51.100.7:0  "},
		{"garbage of the proxy", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7, what"}}, "10.0.0.9:4711  "},
		{"garbage behind the first proxy", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7, what, 10.1.1.1"}}, "10.1.1.1:0  "},
		{"no scheme, no host", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Proto": {"gopher"}, "X-Forwarded-Host": {"a b"}}, "198.51.100.7:0  "},
		{"a host that ends a header", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7"}, "X-Forwarded-Host": {"a.example/@b"}}, "198.51.100.7:0  "},
		{"the way that the proxies do not write", ByX, proxy, fields{"Forwarded": {"for=198.51.100.7;proto=https"}}, "10.0.0.9:4711  "},
		{"both ways", ByX, proxy, fields{"X-Forwarded-For": {"198.51.100.7"}, "Forwarded": {"for=127.0.0.1"}}, "198.51.100.7:0  "},
		{"both ways, the other one", ByRFC7239, proxy, fields{"X-Forwarded-For": {"127.0.0.1"}, "Forwarded": {"for=198.51.100.7"}}, "198.51.100.7:0  "},

		{"as in RFC 7239, section 4", ByRFC7239, proxy, fields{"Forwarded": {`For="[2001:db8:cafe::17]:4711"`}}, "[2001:db8:cafe::17]:4711  "},
		{"all of it", ByRFC7239, proxy, fields{"Forwarded": {`for=192.0.2.60;proto=HTTPS;by=203.0.113.43; Host="shop.example:8443"`}}, "192.0.2.60:0 https shop.example:8443"},
		{"several", ByRFC7239, proxy, fields{"Forwarded": {"for=192.0.2.43;proto=https, for=10.17.0.1;proto=http"}}, "192.0.2.43:0 https "},
		{"several lines", ByRFC7239, proxy, fields{"Forwarded": {"for=192.0.2.43;proto=https", `for="[2001:db8:ffff::1]"`}}, "192.0.2.43:0 https "},
		{"what the client has put before, too", ByRFC7239, proxy, fields{"Forwarded": {"for=127.0.0.1;host=admin.example, for=192.0.2.43"}}, "192.0.2.43:0  "},
		{"one who is hidden", ByRFC7239, proxy, fields{"Forwarded": {"for=192.0.2.43, for=_hidden, for=10.1.1.1"}}, "10.1.1.1:0  "},
		{"unknown", ByRFC7239, proxy, fields{"Forwarded": {"for=unknown"}}, "10.0.0.9:4711  "},
		{"a port that is hidden", ByRFC7239, proxy, fields{"Forwarded": {`for="192.0.2.43:_p1"`}}, "192.0.2.43:0  "},
		{"a quote that swallows the next", ByRFC7239, proxy, fields{"Forwarded": {`for=127.0.0.1;x="`, "for=192.0.2.43"}}, "10.0.0.9:4711  "},
		{"a quote that swallows a quoted one", ByRFC7239, proxy, fields{"Forwarded": {`for=127.0.0.1;x="`, `for="[2001:db8::1]"`}}, "10.0.0.9:4711  "},
		{"an escape that swallows", ByRFC7239, proxy, fields{"Forwarded": {`for="127.0.0.1\`, `for=192.0.2.43"`}}, "10.0.0.9:4711  "},
		{"the same twice", ByRFC7239, proxy, fields{"Forwarded": {"for=192.0.2.43;for=127.0.0.1"}}, "10.0.0.9:4711  "},
		{"one that is malformed before", ByRFC7239, proxy, fields{"Forwarded": {"for 127.0.0.1, for=192.0.2.43"}}, "192.0.2.43:0  "},
		{"a comma at the end", ByRFC7239, proxy, fields{"Forwarded": {"for=192.0.2.43,"}}, "192.0.2.43:0  "},
		{"empty", ByRFC7239, proxy, fields{"Forwarded": {""}}, "10.0.0.9:4711  "},
		{"a peer that is no address", ByX, "@", fields{"X-Forwarded-For": {"127.0.0.1"}}, "invalid AddrPort  "},
	} {
		o := trust(c.way).Of(&http.Request{RemoteAddr: c.peer, Header: http.Header(c.header)})
		if got := o.Client.String() + " " + o.Scheme + " " + o.Host; got != c.want {
			t.Errorf("%s: Of = %q, want %q", c.name, got, c.want)
		}
	}
	if o := (Trust{}).Of(&http.Request{RemoteAddr: proxy, Header: http.Header{"X-Forwarded-For": {"198.51.100.7"}}}); o.Client.String() != proxy {
		t.Errorf("without trust: Of = %v", o)
	}
}

func TestWhatIsWrittenCanBeRead(t *testing.T) {
	for _, c := range []struct{ client, host, scheme, want string }{
		{"192.0.2.7", "shop.example", "https", "for=192.0.2.7;host=shop.example;proto=https"},
		{"2001:db8::1", "shop.example:80", "http", `for="[2001:db8::1]";host="shop.example:80";proto=http`},
		{"@", `a";for=127.0.0.1`, "http", "for=unknown;proto=http"},
		{"", "", "http", "for=unknown;proto=http"},
	} {
		got := Written(c.client, c.host, c.scheme)
		if got != c.want {
			t.Errorf("Written(%q, %q) = %s, want %s", c.client, c.host, got, c.want)
		}
		if len(elements(got)) != 1 {
			t.Errorf("%s cannot be read", got)
		}
	}
}

// FuzzOf holds that nobody but a trusted proxy can say where a request comes from, whatever stands in the fields before its word.
func FuzzOf(f *testing.F) {
	for _, s := range []string{"", "for=127.0.0.1", `for="[::1]:80";proto=https, for=_a`, `for="`, `x="\`, "127.0.0.1, ", "for=1.1.1.1;", `;;,="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, said string) {
		for _, way := range []string{ByX, ByRFC7239} {
			name, own := "X-Forwarded-For", "192.0.2.43"
			if way == ByRFC7239 {
				name, own = "Forwarded", "for=192.0.2.43"
			}
			for _, fields := range [][]string{{said, own}, {said + ", " + own}} {
				got := trust(way).Of(&http.Request{RemoteAddr: "10.0.0.9:1", Header: http.Header{name: fields}}).Client.Addr().String()
				if got != "192.0.2.43" && got != "10.0.0.9" {
					t.Errorf("%s %q: the client is %s, which nobody who is trusted said", way, fields, got)
				}
			}
			r := &http.Request{RemoteAddr: "192.0.2.1:1", Header: http.Header{name: {said}}}
			if o := trust(way).Of(r); o.RemoteAddr() != r.RemoteAddr || o.Scheme+o.Host != "" {
				t.Errorf("%s %q: a stranger said %v", way, said, o)
			}
		}
		if w := Written(said, said, "http"); len(elements(w)) != 1 || strings.ContainsAny(w, "\r\n") {
			t.Errorf("Written(%q) = %q", said, w)
		}
	})
}
