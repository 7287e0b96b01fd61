package aws

import (
	"net/url"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// urlTrigger is the route that a function URL is.
const urlTrigger = "function-url"

// urlHost ends the hosts of function URLs. RFC 6761, section 6.3: names below localhost lead to the machine itself.
const urlHost = ".lambda-url.localhost"

// urlRequest is AWS's CreateFunctionUrlConfig and UpdateFunctionUrlConfig.
type urlRequest struct {
	AuthType   *string
	InvokeMode *string
	Cors       *urlCORS
}

// urlCORS is AWS's Cors. The methods are those that the browser asks for, as of every route.
type urlCORS struct {
	AllowCredentials bool     `json:",omitempty"`
	AllowHeaders     []string `json:",omitempty"`
	AllowMethods     []string `json:",omitempty"`
	AllowOrigins     []string `json:",omitempty"`
	ExposeHeaders    []string `json:",omitempty"`
	MaxAge           int      `json:",omitempty"` // seconds
}

type urlAnswer struct {
	FunctionURL      string `json:"FunctionUrl"`
	FunctionArn      string
	AuthType         string
	InvokeMode       string
	Cors             *urlCORS `json:",omitempty"`
	CreationTime     string
	LastModifiedTime string
}

func (req *urlRequest) check() error {
	switch {
	case req.AuthType != nil && *req.AuthType != "NONE":
		return badValue("AuthType: %q is not there; NONE is", fault.Clip(*req.AuthType)).WithHint("a route of the manifest has auth, see docs/rest.md")
	case req.InvokeMode != nil && *req.InvokeMode != "BUFFERED" && *req.InvokeMode != "RESPONSE_STREAM":
		return badValue("InvokeMode: %q is neither BUFFERED nor RESPONSE_STREAM", fault.Clip(*req.InvokeMode))
	case req.Cors != nil && len(req.Cors.AllowMethods) > 0 && !slices.Equal(req.Cors.AllowMethods, []string{"*"}):
		return badValue("Cors.AllowMethods: methods of their own are not there; [\"*\"] is")
	}
	return nil
}

func (l *Lambda) createURL(c *call) (any, error) {
	return l.setURL(c, func(req *urlRequest, had *function.Trigger, name string) error {
		switch {
		case req.AuthType == nil:
			return badValue("AuthType: it is not there")
		case had != nil:
			return fault.New(fault.Conflict, "FunctionUrlConfig exists for this Lambda function: %s", function.ARN(l.o.Region, name, ""))
		}
		return nil
	})
}

func (l *Lambda) updateURL(c *call) (any, error) {
	return l.setURL(c, func(_ *urlRequest, had *function.Trigger, _ string) error {
		if had == nil {
			return noURL()
		}
		return nil
	})
}

func noURL() error { return fault.New(fault.NotFound, "The resource you requested does not exist.") }

func (l *Lambda) setURL(c *call, allowed func(req *urlRequest, had *function.Trigger, name string) error) (any, error) {
	var req urlRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	t, err := l.respec(c, name, func(s *function.Spec) error {
		had := triggerOf(s, urlTrigger)
		if err := allowed(&req, had, name); err != nil {
			return err
		}
		route := function.Route{Host: name + urlHost, Path: "/{path...}"}
		if had != nil && had.Route != nil {
			route = *had.Route
		}
		if req.Cors != nil {
			route.CORS = req.Cors.route()
		}
		s.Triggers = append(withoutTrigger(s.Triggers, urlTrigger), function.Trigger{Name: urlTrigger, Route: &route})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.urlOf(t), nil
}

func (u *urlCORS) route() *function.CORS {
	if len(u.AllowOrigins) == 0 {
		return nil
	}
	return &function.CORS{Origins: u.AllowOrigins, Headers: u.AllowHeaders, Expose: u.ExposeHeaders, Credentials: u.AllowCredentials, MaxAge: function.Duration(time.Duration(u.MaxAge) * time.Second)}
}

func triggerOf(s *function.Spec, name string) *function.Trigger {
	for i := range s.Triggers {
		if s.Triggers[i].Name == name {
			return &s.Triggers[i]
		}
	}
	return nil
}

func withoutTrigger(list []function.Trigger, name string) []function.Trigger {
	return slices.DeleteFunc(slices.Clone(list), func(t function.Trigger) bool { return t.Name == name })
}

func (l *Lambda) urlOf(t target) urlAnswer {
	route := triggerOf(&t.v.Spec, urlTrigger).Route
	at := t.v.Created.UTC().Format("2006-01-02T15:04:05.000Z07:00")
	// Answers of functions stream on every route, where the function streams them.
	out := urlAnswer{FunctionURL: l.onGateway(route.Host), FunctionArn: function.ARN(l.o.Region, t.f.Name, ""), AuthType: "NONE", InvokeMode: "RESPONSE_STREAM", CreationTime: at, LastModifiedTime: at}
	if r := route.CORS; r != nil {
		out.Cors = &urlCORS{AllowCredentials: r.Credentials, AllowHeaders: r.Headers, AllowMethods: []string{"*"}, AllowOrigins: r.Origins, ExposeHeaders: r.Expose, MaxAge: wholeUnits(int64(r.MaxAge), int64(time.Second))}
	}
	return out
}

// onGateway is the URL of a host of the gateway.
func (l *Lambda) onGateway(host string) string {
	u, err := url.Parse(l.o.Gateway)
	if err != nil {
		return "http://" + host + "/"
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host + "/"
}

func (l *Lambda) urlTarget(c *call) (target, error) {
	name, err := c.changeable()
	if err != nil {
		return target{}, err
	}
	t, err := l.find(c.ctx(), name, "")
	if err == nil && triggerOf(&t.v.Spec, urlTrigger) == nil {
		err = noURL()
	}
	return t, err
}

func (l *Lambda) getURL(c *call) (any, error) {
	t, err := l.urlTarget(c)
	if err != nil {
		return nil, err
	}
	return l.urlOf(t), nil
}

// listURLs has one at most: there is none of an alias.
func (l *Lambda) listURLs(c *call) (any, error) {
	list := []urlAnswer{}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	t, err := l.find(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	if triggerOf(&t.v.Spec, urlTrigger) != nil {
		list = append(list, l.urlOf(t))
	}
	return struct {
		FunctionURLConfigs []urlAnswer `json:"FunctionUrlConfigs"`
	}{list}, nil
}

func (l *Lambda) deleteURL(c *call) (any, error) {
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	_, err = l.respec(c, name, func(s *function.Spec) error {
		if triggerOf(s, urlTrigger) == nil {
			return noURL()
		}
		s.Triggers = withoutTrigger(s.Triggers, urlTrigger)
		return nil
	})
	return nil, err
}
