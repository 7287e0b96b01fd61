package upstream

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

// overload is how much more than its part of all requests a server may have at a time that requests are bound to by a key.
// Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, 2016.
const overload = 1.25

// candidate is a server that may get a request.
type candidate struct {
	m *member
	load
}

// pick chooses one of several; there is at least one. key is the request's, of hash alone.
func (p *Pool) pick(from []candidate, key uint64) *member {
	switch p.rule.Balance {
	case function.BalanceRandom:
		return from[rand.IntN(len(from))].m
	case function.BalanceLeastLoaded:
		return lessLoaded(from)
	case function.BalanceWeighted:
		return p.byWeight(from)
	case function.BalanceHash:
		return byHash(from, key)
	}
	return from[int((p.next.Add(1)-1)%uint64(len(from)))].m
}

// lessLoaded draws two and takes the one that has less to do for its weight. Mitzenmacher: The Power of Two Choices, 2001.
func lessLoaded(from []candidate) *member {
	if len(from) == 1 {
		return from[0].m
	}
	i, j := rand.IntN(len(from)), rand.IntN(len(from)-1)
	if j >= i {
		j++
	}
	a, b := from[i], from[j]
	if (b.active+1)*a.weight < (a.active+1)*b.weight {
		a = b
	}
	return a.m
}

// byWeight takes them in turn, a heavy one more often and never many times in a row: the smooth weighted round robin of nginx.
func (p *Pool) byWeight(from []candidate) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	total, best := 0, 0
	for i, c := range from {
		total += c.weight
		c.m.share += c.weight
		if c.m.share > from[best].m.share {
			best = i
		}
	}
	from[best].m.share -= total
	return from[best].m
}

// byHash takes the one whose hash with the key is the highest, weights regarded: all nodes agree, and when one comes or goes only the keys that it
// gets or had move (rendezvous hashing: Thaler, Ravishankar, 1998). One that has too much to do is passed over.
func byHash(from []candidate, key uint64) *member {
	active, weight := 1, 0
	for _, c := range from {
		active += c.active
		weight += c.weight
	}
	var best *member
	highest := math.Inf(-1)
	for _, c := range from {
		most := math.Ceil(overload * float64(active) * float64(c.weight) / float64(weight))
		if score := score(key, c.m.hash, c.weight); score > highest && float64(c.active+1) <= most {
			best, highest = c.m, score
		}
	}
	return best // the bounds of all are more than all requests together
}

// score is how well a key and a server fit. -w/ln(u) makes each server's part of the keys its part of the weight.
func score(key, server uint64, weight int) float64 {
	u := (float64(mix(key^server)>>11) + 0.5) / (1 << 53)
	return -float64(weight) / math.Log(u)
}

// mix spreads every bit over all: the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// hashOf is the same on every node.
func hashOf(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return mix(h.Sum64())
}

// keyOf is the key of a request. One that has none goes anywhere.
func keyOf(by function.HashBy, r *http.Request) uint64 {
	value := ""
	switch {
	case by == function.HashByPath:
		value = r.URL.Path
	case by == function.HashByIP:
		value = r.RemoteAddr
		if host, _, err := net.SplitHostPort(value); err == nil {
			value = host
		}
	default:
		if name, is := strings.CutPrefix(string(by), function.HashByHeader); is {
			value = r.Header.Get(name)
		} else if c, err := r.Cookie(strings.TrimPrefix(string(by), function.HashByCookie)); err == nil {
			value = c.Value
		}
	}
	if value == "" {
		return rand.Uint64()
	}
	return hashOf(value)
}
