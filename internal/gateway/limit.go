package gateway

import (
	"crypto/sha256"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/quota"
)

// The fields that tell of a limit, in net/http's spelling. draft-ietf-httpapi-ratelimit-headers-10.
const (
	limitHeader       = "Ratelimit"
	limitPolicyHeader = "Ratelimit-Policy"
)

// maxClients bounds the memory of one limit: of more clients than this at a time, those that come least are forgotten, and may begin anew.
const maxClients = 100_000

// maxAway is how long a client is remembered at most that does not come.
const maxAway = 24 * time.Hour

// rateLimit holds each client of a route to a rate: a bucket of tokens for each, which fills evenly.
type rateLimit struct {
	name    string // of the route, for the header fields
	rule    *function.RateLimit
	clients *otter.Cache[client, *rate.Limiter]
}

// client is what a limit tells clients apart by: a digest, so that no name of a client costs more memory than another.
type client [sha256.Size]byte

func newRateLimit(name string, rule *function.RateLimit) *rateLimit {
	// Who was away for so long has a full bucket again; who is forgotten after a day has one, too.
	full := time.Duration(min(float64(rule.AtOnce())/second(rule.Rate), maxAway.Seconds()) * float64(time.Second))
	return &rateLimit{name: name, rule: rule, clients: otter.Must(&otter.Options[client, *rate.Limiter]{
		MaximumSize:      maxClients,
		ExpiryCalculator: otter.ExpiryAccessing[client, *rate.Limiter](full + time.Minute),
	})}
}

// second is how many of a rate are in one second.
func second(r function.Rate) float64 { return float64(r.Count) / r.Per.Seconds() }

func (l *rateLimit) policy(g *Gateway) policy {
	return func(x *exchange, c *Call, next handler) error {
		wait := l.take(l.client(c), g.now(), x.Header())
		if wait == 0 {
			return next(x, c)
		}
		return &quota.Over{Fault: fault.New(fault.Exhausted, "more requests than this route takes from one client").
			WithHint("it is %s; try again in %s", l.rule.Rate, wait.Round(time.Millisecond)), Wait: wait}
	}
}

// take spends one request of a client's bucket, and tells what is left. wait is how long there is none; 0 = the request may go on.
func (l *rateLimit) take(who client, now time.Time, h http.Header) (wait time.Duration) {
	bucket, _ := l.clients.ComputeIfAbsent(who, func() (*rate.Limiter, bool) {
		return rate.NewLimiter(rate.Limit(second(l.rule.Rate)), l.rule.AtOnce()), false
	})
	if !bucket.AllowN(now, 1) {
		lacks := 1 - bucket.TokensAt(now)
		wait = max(time.Millisecond, time.Duration(lacks/second(l.rule.Rate)*float64(time.Second)))
	}
	tellLimit(h, l.name, l.rule, max(0, bucket.TokensAt(now)))
	return wait
}

// tellLimit says what the limit is and how much of it is left.
func tellLimit(h http.Header, name string, rule *function.RateLimit, left float64) {
	policy := strconv.Quote(name)
	window := int(math.Ceil(float64(rule.AtOnce()) / second(rule.Rate)))
	h.Set(limitPolicyHeader, fmt.Sprintf("%s;q=%d;w=%d", policy, rule.AtOnce(), window))
	refill := int(math.Ceil((float64(rule.AtOnce()) - left) / second(rule.Rate)))
	h.Set(limitHeader, fmt.Sprintf("%s;r=%d;t=%d", policy, int(left), refill))
}

// client finds out whose request it is.
func (l *rateLimit) client(c *Call) client {
	switch l.rule.By {
	case function.LimitByIdentity:
		if c.Identity != nil {
			return sha256.Sum256([]byte(c.Identity.Type + "\x00" + c.Identity.ID))
		}
	case function.LimitByHeader:
		return sha256.Sum256([]byte(c.Request.Header.Get(l.rule.Header)))
	case function.LimitByRoute:
	default:
		return sha256.Sum256([]byte(clientNetwork(c.Request.RemoteAddr)))
	}
	return client{}
}

// clientNetwork is the address of a client; of IPv6 the network of 64 bits, all of which a single client usually has: RFC 6177.
func clientNetwork(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}
