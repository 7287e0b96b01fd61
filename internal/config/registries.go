package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/fault"
)

// Registry says how an image registry is spoken to. It holds no password, but says where that is.
type Registry struct {
	Host         string // host or host:port, as references to images name it
	Insecure     bool   // plain HTTP
	Mirror       string // host[:port] that is asked first; "" = none
	User         string // "" = what Docker's configuration has
	PasswordFile string // with User
}

const registryForm = "http:// or https://HOST[:PORT], with ?mirror=HOST, ?user=NAME&password-file=FILE"

func registryOptions() []string { return []string{"mirror", "user", "password-file"} }

// parseRegistry reads an address such as https://ghcr.io?user=me&password-file=/etc/dalamb/ghcr. An error never repeats what may be
// a password.
func parseRegistry(text string) (Registry, error) {
	var r Registry
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return r, fmt.Errorf("has an item that is not %s", registryForm)
	case u.User != nil:
		return r, fault.New(fault.Invalid, "has a user or a password in an address, which everybody can read there").
			WithHint("name them by options: https://%s?user=NAME&password-file=FILE", u.Host)
	case strings.Trim(u.Path, "/") != "" || u.Fragment != "":
		return r, fmt.Errorf("has the registry %s with a path; it ends with its host", u.Host)
	}
	r.Host, r.Insecure = u.Host, u.Scheme == "http"
	for name, values := range u.Query() {
		switch {
		case !slices.Contains(registryOptions(), name):
			return r, fmt.Errorf("has the option %q of registry %s; allowed: %s", name, r.Host, strings.Join(registryOptions(), ", "))
		case len(values) > 1 || values[0] == "":
			return r, fmt.Errorf("has the option %s of registry %s not exactly once, with a value", name, r.Host)
		}
		switch name {
		case "mirror":
			r.Mirror = values[0]
		case "user":
			r.User = values[0]
		default:
			r.PasswordFile = values[0]
		}
	}
	switch {
	case (r.User == "") != (r.PasswordFile == ""):
		return r, fmt.Errorf("has registry %s with one of user and password-file, which belong together", r.Host)
	case strings.Contains(r.Mirror, "/"):
		return r, fmt.Errorf("has registry %s with a mirror that is not a host", r.Host)
	}
	return r, nil
}

func (r Registry) String() string {
	u := url.URL{Scheme: "https", Host: r.Host}
	if r.Insecure {
		u.Scheme = "http"
	}
	q := url.Values{}
	for name, value := range map[string]string{"mirror": r.Mirror, "user": r.User, "password-file": r.PasswordFile} {
		if value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func parseRegistries(text string) ([]Registry, error) {
	return parseItems(text, func(item string, before []Registry) (Registry, error) {
		r, err := parseRegistry(item)
		if err == nil && slices.ContainsFunc(before, func(o Registry) bool { return o.Host == r.Host }) {
			err = fmt.Errorf("names the registry %s twice", r.Host)
		}
		return r, err
	})
}

func registriesText(list []Registry) string {
	items := make([]string, len(list))
	for i, r := range list {
		items[i] = r.String()
	}
	return "[" + strings.Join(items, ", ") + "]"
}
