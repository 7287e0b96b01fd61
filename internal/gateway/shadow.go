package gateway

import (
	"net/http"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/shadow"
)

// copied offers a call that the alias's version has answered. What cannot be made again is left out: bodies that were passed on while they came,
// and connections that were given away.
func (c *Caller) copied(call *Call, key string, inv *function.Invocation, res *function.Result, through *kept) {
	if c.shadow == nil || call.to != nil || call.Version != 0 || call.upload != nil || res.Status == http.StatusSwitchingProtocols {
		return
	}
	one := shadow.Copy{Function: call.Function, Alias: call.Alias, Key: key, Invocation: inv, Result: res, Body: call.Body}
	if through != nil {
		one.Answer = through.body
	}
	method, url := call.Request.Method, call.URL
	if url == nil {
		url = call.Request.URL
	}
	one.Name = func() string { return method + " " + c.redact().path(url) }
	c.shadow.Offer(one)
}
