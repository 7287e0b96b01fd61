package function

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// RouteCallback says who is told what came of a request that is answered later: exactly one of URL and Header is set.
type RouteCallback struct {
	URL    string `json:"url,omitempty"`
	Header string `json:"header,omitempty"` // in which a client says where; without it nobody is told
	Secret string `json:"secret"`           // that holds the key which signs
}

// TopicCallbacks holds the callbacks that are to be made; the key of a record is the address of the run.
const TopicCallbacks = "_dalamb.callbacks"

// Callback is the value of a record in TopicCallbacks.
type Callback struct {
	Function string `json:"function"`
	URL      string `json:"url"`
	Secret   string `json:"secret"` // its full name
	// Body is what is told, in place of the state of a run; the record's key is then an event's id.
	Body json.RawMessage `json:"body,omitempty"`
	// Alert is whose webhook it is; what came of it is told in TopicAlerts. "" = of none.
	Alert string `json:"alert,omitempty"`
}

// Fields of a callback's request.
const (
	HeaderCallback          = "Dalamb-Callback"  // the run; the same whenever it is told again
	HeaderCallbackTime      = "Dalamb-Timestamp" // in Unix seconds
	HeaderCallbackSignature = "Dalamb-Signature" // sha256= and the HMAC of the time, a dot and the body, in hex
)

// Address names the run of an event in the log for who has sent it: every node finds it by that.
func (e *EventRef) Address() string { return fmt.Sprintf("%s.%d.%d", e.ID, e.Partition, e.Offset) }

// SecretName is the secret that the callback is signed with; "" = there is none.
func (r *RouteCallback) SecretName() string {
	if r == nil {
		return ""
	}
	return r.Secret
}

// place returns a RouteCallback whose secret has another name.
func (r *RouteCallback) place(name func(string) string) *RouteCallback {
	if r == nil {
		return nil
	}
	c := *r
	c.Secret = name(c.Secret)
	return &c
}

func callbackValue() value[RouteCallback] {
	return object([]string{"secret"},
		field("url", "Whom to tell, by a POST.", text[string](), func(r *RouteCallback) *string { return &r.URL }),
		field("header", "The header in which a client says whom to tell, such as X-Callback-URL. Without it nobody is told.", text[string](), func(r *RouteCallback) *string { return &r.Header }),
		field("secret", "The secret that holds the key which signs.", text[string](), func(r *RouteCallback) *string { return &r.Secret }),
	)
}

func (c *checker) callback(at string, r *Route) {
	b := r.Callback
	if b == nil {
		return
	}
	if r.Async == "" {
		c.add(at, "async: true", "belongs to a route that answers later")
	}
	c.name(at+".secret", b.Secret, "secret")
	switch {
	case (b.URL == "") == (b.Header == ""):
		c.add(at, "write url, or header where each client says so itself", "says %s whom to tell", map[bool]string{true: "not", false: "in two ways"}[b.URL == ""])
	case b.Header != "" && !validToken.MatchString(b.Header):
		c.add(at+".header", "such as X-Callback-URL", "%q is no name for a header", clip(b.Header))
	case b.URL != "":
		if err := CheckCallback(b.URL); err != nil {
			c.add(at+".url", fault.HintOf(err), "%v", err)
		}
	}
}

// maxCallback bounds the URL of a callback, in bytes.
const maxCallback = 2048

// CheckCallback says whether a URL may be called back, as far as it says so itself. What its name leads to is looked at when it is called.
func CheckCallback(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxCallback || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return fault.New(fault.Invalid, "%q is no address that can be called back", clip(text)).WithHint("such as https://shop.example/done, of at most %d bytes, without a user and a fragment", maxCallback)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fault.New(fault.Invalid, "%q is no address that can be called back", clip(text)).WithHint("in ASCII; other letters are written %%C3%%A4")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (ip.IsUnspecified() || ip.IsMulticast()) {
		return fault.New(fault.Invalid, "%s is nobody's address", ip)
	}
	return nil
}
