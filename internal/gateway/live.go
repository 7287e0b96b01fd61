package gateway

import "github.com/dalamb/dalamb/internal/forwarded"

// Live is what a gateway that serves can be told anew.
type Live struct {
	Batch, Upload int64    // as in Limits; zero values mean the defaults
	Redact        []string // as in Options
	Proxies       forwarded.Trust
}

// live is what one moment's requests see of Live. A request that is under way may see two of them one after the other: each of its parts by itself.
type live struct {
	limits  Limits // Batch and Upload alone
	proxies forwarded.Trust
}

// Change tells the gateway anew. Requests that begin afterwards see it.
func (g *Gateway) Change(l Live) {
	g.live.Store(&live{limits: Limits{Batch: l.Batch, Upload: l.Upload}.withDefaults(), proxies: l.Proxies})
	g.caller.redacts.Store(newRedactor(l.Redact))
}

func (c *Caller) redact() *redactor { return c.redacts.Load() }
