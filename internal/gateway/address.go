package gateway

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

const (
	fnPrefix = "/_/fn/"
	// aliasHeader picks the alias for a call by name. It is a header and not a query parameter because the query is the
	// function's own.
	aliasHeader = "Dalamb-Alias"
	// keyHeader says whose call a call by name is: while the alias has several versions, all calls of a key meet the same.
	keyHeader = "Dalamb-Key"
)

// address is what a request below fnPrefix is for.
type address struct {
	function string
	alias    string // "" = live
	version  int    // 0 = by the alias
	path     string // below it, escaped, with its slash; the function's own
}

// parseAddress reads NAME, NAME:ALIAS or NAME:NUMBER and the function's own path behind it. The slashes of an alias's name may be
// written as they are: no alias of a function is a directory of another, so that at most one fits.
func parseAddress(view *catalog.View, escaped string) (address, error) {
	first, rest, _ := strings.Cut(escaped, "/")
	whole, err := url.PathUnescape(first)
	name, qualifier, qualified := strings.Cut(whole, ":")
	if err != nil || name == "" {
		return address{}, fault.New(fault.Invalid, "the path names no function").WithHint("call %sNAME", fnPrefix)
	}
	a := address{function: name, path: "/" + rest}
	if !qualified {
		return a, nil
	}
	if n, err := strconv.Atoi(qualifier); err == nil && n > 0 {
		a.version = n
		return a, nil
	}
	a.alias = qualifier
	for alias := qualifier; len(alias) <= function.MaxAlias; {
		if _, err := view.Alias(name, alias); err == nil {
			a.alias, a.path = alias, "/"+rest
			break
		}
		part, after, _ := strings.Cut(rest, "/")
		if part == "" {
			break
		}
		alias, rest = alias+"/"+part, after
	}
	if a.alias == "" {
		return a, fault.New(fault.Invalid, "the path names no alias behind the colon").WithHint("call %s%s:ALIAS, or %s%s for live", fnPrefix, name, fnPrefix, name)
	}
	return a, nil
}

// byHeader takes the alias from its header, which may not say another than the path.
func (a *address) byHeader(h http.Header) error {
	alias := h.Get(aliasHeader)
	h.Del(aliasHeader)
	switch {
	case alias == "" || alias == a.alias:
		return nil
	case a.alias != "" || a.version != 0:
		return fault.New(fault.Invalid, "the path and the header %s name different aliases", aliasHeader).WithHint("leave one of them out")
	}
	a.alias = alias
	return nil
}
