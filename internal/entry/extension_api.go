package entry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/dalamb/dalamb/internal/function"
)

const (
	extensionPrefix = "/2020-01-01/extension/"
	extensionID     = "Lambda-Extension-Identifier"
	// maxExtensionBody is the largest request of an extension, in bytes.
	maxExtensionBody = 64 << 10
)

func forbidden(typ, format string, args ...any) *apiError {
	return &apiError{http.StatusForbidden, typ, fmt.Sprintf(format, args...)}
}

// handleExtension answers what is no request of the Runtime API.
func (c *apiConn) handleExtension(req *http.Request) bool {
	if path, ok := strings.CutPrefix(req.URL.Path, extensionPrefix); ok {
		return c.extension(req, path)
	}
	for _, d := range dialects() {
		if req.URL.Path == d.path {
			return c.subscribe(req, &d)
		}
	}
	return c.refuse(req, errNoSuchPath)
}

// extension answers one request of the Extensions API, in the words that AWS's own server uses.
func (c *apiConn) extension(req *http.Request, path string) bool {
	method := http.MethodPost
	if path == "event/next" {
		method = http.MethodGet
	}
	switch {
	case path != "register" && path != "event/next" && path != "init/error" && path != "exit/error":
		return c.refuse(req, errNoSuchPath)
	case req.Method != method:
		return c.refuse(req, errNoSuchMethod)
	case path == "register":
		return c.register(req)
	}
	e, refused := c.identify(req)
	if refused != nil {
		return c.refuse(req, refused)
	}
	if path != "event/next" {
		return c.extensionError(req, e, path)
	}
	if !discard(req.Body) {
		return false
	}
	if err := c.api.conn.nextEvent(e, c); err != nil {
		return c.answer(err.status, err.body())
	}
	return true
}

func (c *apiConn) identify(req *http.Request) (*extension, *apiError) {
	id := req.Header.Get(extensionID)
	if id == "" {
		return nil, forbidden("Extension.MissingExtensionIdentifier", "Missing %s header", extensionID)
	}
	e := c.api.conn.extension(id)
	if e == nil {
		return nil, forbidden("Extension.UnknownExtensionIdentifier", "Unknown extension %.64q", id)
	}
	return e, nil
}

// small reads a request's JSON.
func (c *apiConn) small(req *http.Request, into any) error {
	if err := c.proceed(req); err != nil {
		return err
	}
	d := json.NewDecoder(http.MaxBytesReader(nil, req.Body, maxExtensionBody))
	return d.Decode(into)
}

func (c *apiConn) register(req *http.Request) bool {
	name := req.Header.Get("Lambda-Extension-Name")
	if name == "" || len(name) > 128 {
		return c.refuse(req, forbidden("Extension.InvalidExtensionName", "The extension name is empty or longer than 128 bytes"))
	}
	var asked struct {
		Events            []string `json:"events"`
		ConfigurationKeys []string `json:"configurationKeys"`
	}
	if err := c.small(req, &asked); err != nil {
		return c.refuse(req, forbidden("InvalidRequestFormat", "%v", err))
	}
	if len(asked.ConfigurationKeys) > 0 {
		return c.refuse(req, forbidden("InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead"))
	}
	e, refused := c.api.conn.register(name, asked.Events)
	if refused != nil {
		return c.refuse(req, refused)
	}
	v := c.api.conn.start.Version
	answer := struct {
		Name    string `json:"functionName"`
		Version string `json:"functionVersion"`
		Handler string `json:"handler"`
		Account string `json:"accountId,omitempty"`
	}{v.Function(), strconv.Itoa(v.Number), handler(&v.Spec), ""}
	if strings.Contains(req.Header.Get("Lambda-Extension-Accept-Feature"), "accountId") {
		answer.Account = function.AWSAccount
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return false // three texts always encode
	}
	return c.answer(http.StatusOK, body, extensionID+": "+e.id)
}

// extensionError takes the error with which an extension ends, and the instance with it.
func (c *apiConn) extensionError(req *http.Request, e *extension, path string) bool {
	typ := req.Header.Get("Lambda-Extension-Function-Error-Type")
	if typ == "" {
		return c.refuse(req, forbidden("Extension.MissingHeader", "Missing Lambda-Extension-Function-Error-Type header"))
	}
	var raw json.RawMessage
	if err := c.small(req, &raw); err != nil {
		raw = nil // the type says enough
	}
	if refused := c.api.conn.failing(e, path == "init/error"); refused != nil {
		return c.refuse(req, refused)
	}
	if !discard(req.Body) || !c.accepted() {
		return false
	}
	f, _ := parseFailure(raw, typ)
	f.Message = "extension " + e.name + ": " + f.Message
	c.api.conn.fail(f)
	return true
}

// failing says whether an extension may report an error: of its start before its first event, of its end afterwards.
func (c *lambdaConn) failing(e *extension, starting bool) *apiError {
	c.mu.Lock()
	defer c.mu.Unlock()
	from, to := "Registered", "ExitError"
	if e.ready {
		from = "Ready"
	}
	if starting {
		to = "InitError"
	}
	if e.ended || starting == e.ready {
		return forbidden("Extension.InvalidExtensionState", "State transition from %s to %s failed for extension %s. Error: State transition is not allowed", from, to, e.name)
	}
	e.ended = true
	c.settleRest()
	return nil
}
