package function

// RateLimit bounds the requests of each client of a route. Each node counts for itself.
type RateLimit struct {
	Rate   Rate    `json:"rate"`
	Burst  int     `json:"burst,omitempty"` // at once, after a pause; 0 = Rate.Count
	By     LimitBy `json:"by,omitempty"`    // what makes a client; "" = LimitByIP
	Header string  `json:"header,omitempty"`
}

// LimitBy is what tells one client of a RateLimit from another.
type LimitBy string

// Values of RateLimit.By.
const (
	LimitByIP       LimitBy = "ip"       // the address; of IPv6 the network of 64 bits, which one client has whole
	LimitByIdentity LimitBy = "identity" // who the route's Auth says it is
	LimitByHeader   LimitBy = "header"   // the value of RateLimit.Header; all without it are one client
	LimitByRoute    LimitBy = "route"    // nothing: all are one client
)

func limitBys() []LimitBy {
	return []LimitBy{LimitByIP, LimitByIdentity, LimitByHeader, LimitByRoute}
}

// AtOnce is how many requests a client may send at once after a pause.
func (l *RateLimit) AtOnce() int {
	if l.Burst == 0 {
		return l.Rate.Count
	}
	return l.Burst
}

func rateLimitValue() value[RateLimit] {
	return object([]string{"rate"},
		field("rate", "Requests in a second, a minute or an hour: 100/s, 600/m, 5000/h.", unit[Rate]("a rate", "100/s", "600/m", "5000/h"), func(l *RateLimit) *Rate { return &l.Rate }),
		field("burst", "Requests at once, after a pause. Default: the number in rate.", count(), func(l *RateLimit) *int { return &l.Burst }),
		field("by", "What makes a client: its address (ip), who auth says it is (identity), the value of a header, or nothing, for all together (route). Default: ip.", text(limitBys()...), func(l *RateLimit) *LimitBy { return &l.By }),
		field("header", "by: header only: which. Requests without it are one client's.", text[string](), func(l *RateLimit) *string { return &l.Header }),
	)
}

func (c *checker) rateLimit(at string, r *Route) {
	l := r.Limit
	if l == nil {
		return
	}
	between(c.at(at+".burst"), l.Burst, 0, 1e9)
	if l.By != "" {
		oneOf(c, at+".by", l.By, limitBys())
	}
	switch {
	case l.Rate.Count == 0:
		c.add(at+".rate", "such as 100/s", "is required")
	case l.By == LimitByIdentity && r.Auth == nil:
		c.add(at+".by", "give the route an auth, or limit by ip", "without auth nobody has an identity")
	case (l.By == LimitByHeader) != (l.Header != ""):
		c.add(at+".header", "write {by: header, header: NAME}", "by: header and the name of one belong together")
	case l.Header != "" && !validToken.MatchString(l.Header):
		c.add(at+".header", "letters, digits and dashes", "%q is no name for a header", clip(l.Header))
	}
}
