package function

import (
	"maps"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// TopicServices holds who serves what besides functions; the key of a record is that of an instance, or of its health.
const TopicServices = "_dalamb.services"

// Registration is one instance of a service that is no function, as it makes itself known.
type Registration struct {
	Service  string            `json:"service"`
	Instance string            `json:"instance"`
	Address  string            `json:"address"`            // HOST:PORT; HOST is an IP address or a name
	Version  string            `json:"version,omitempty"`  // of what runs there
	Weight   int               `json:"weight,omitempty"`   // its share of the work, 1 to 1000; 0 = 1
	Metadata map[string]string `json:"metadata,omitempty"` // for who asks
	TTL      Duration          `json:"ttl,omitempty"`      // without a heartbeat for so long it is unhealthy; 0 with Check
	Check    *ServiceCheck     `json:"check,omitempty"`    // a check that dalamb runs; nil = there is none
}

// ServiceCheck is how dalamb finds out whether an instance is well.
type ServiceCheck struct {
	Path     string   `json:"path,omitempty"`     // that answers 2xx to GET; "" = a connection can be made
	Every    Duration `json:"every,omitempty"`    // 0 = 10s
	Timeout  Duration `json:"timeout,omitempty"`  // 0 = 2s
	Failures int      `json:"failures,omitempty"` // in a row, until it is unhealthy; 0 = 3
}

// ServiceInstance is a registration, and how the instance is.
type ServiceInstance struct {
	Registration
	ID         string    `json:"id"` // of this registration: one with other settings has another
	Registered time.Time `json:"registered"`
	Healthy    bool      `json:"healthy"`
	Reason     string    `json:"reason,omitempty"` // why it is not healthy
	Since      time.Time `json:"since"`            // when that became so
}

// Bounds of a registration.
const (
	defaultTTL        = Duration(30 * time.Second)
	defaultCheckEvery = Duration(10 * time.Second)
	defaultCheckTime  = Duration(2 * time.Second)
	defaultFailures   = 3
	maxServiceWeight  = 1000
	maxMetadata       = 64
	maxMetadataBytes  = 4 << 10
	maxServiceText    = 255
)

// validInstance is what an instance may be called: what programs call themselves, which is a host name or an id.
var validInstance = regexp.MustCompile(`^[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$`)

// validTarget is a name that DNS can have. RFC 1123, section 2.1; underscores are there, too.
var validTarget = regexp.MustCompile(`^([a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?\.)*[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?\.?$`)

// Validate checks a registration and fills in the defaults.
func (r *Registration) Validate() error {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "%s: "+format, append([]any{field}, args...)...)
	}
	if !ValidValueName(r.Service) {
		return bad("service", "%q is no name for a service", clip(r.Service)).WithHint("a lower-case letter, then letters, digits and inner hyphens, at most 63 characters")
	}
	if !validInstance.MatchString(r.Instance) || strings.Contains(r.Instance, "..") { // DNS has no empty labels
		return bad("instance", "%q is no name for an instance", clip(r.Instance)).WithHint("letters, digits, single dots, hyphens and underscores, at most 63 characters; a host name, for example")
	}
	if err := checkServiceAddress(r.Address); err != nil {
		return err
	}
	if len(r.Version) > maxServiceText || strings.ContainsFunc(r.Version, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return bad("version", "is no text of at most %d characters", maxServiceText)
	}
	if r.Weight == 0 {
		r.Weight = 1
	}
	if r.Weight < 1 || r.Weight > maxServiceWeight {
		return bad("weight", "is %d; allowed: 1 to %d", r.Weight, maxServiceWeight)
	}
	size := 0
	for name, value := range r.Metadata {
		size += len(name) + len(value)
	}
	if len(r.Metadata) > maxMetadata || size > maxMetadataBytes {
		return bad("metadata", "has %d entries of %d bytes; allowed: %d of %d together", len(r.Metadata), size, maxMetadata, maxMetadataBytes)
	}
	return r.checkLife()
}

// checkLife looks at how it is known that the instance is there.
func (r *Registration) checkLife() error {
	if r.Check == nil {
		if r.TTL == 0 {
			r.TTL = defaultTTL
		}
		return within("ttl", r.TTL, Duration(time.Second), Duration(24*time.Hour))
	}
	if r.TTL != 0 {
		return fault.New(fault.Invalid, "ttl: an instance that is checked sends no heartbeats").WithHint("leave out ttl, or check")
	}
	c := *r.Check
	r.Check = &c
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") || len(c.Path) > maxServiceText || strings.ContainsFunc(c.Path, func(x rune) bool { return x <= ' ' || x == 0x7f }) {
		return fault.New(fault.Invalid, "check.path: %q is not a path", clip(c.Path)).WithHint("such as /healthz; without one a connection is made, and no more")
	}
	if c.Every == 0 {
		r.Check.Every = defaultCheckEvery
	}
	if c.Timeout == 0 {
		r.Check.Timeout = min(defaultCheckTime, r.Check.Every)
	}
	if c.Failures == 0 {
		r.Check.Failures = defaultFailures
	}
	if f := r.Check.Failures; f < 1 || f > 100 {
		return fault.New(fault.Invalid, "check.failures: is %d; allowed: 1 to 100", f)
	}
	if err := within("check.every", r.Check.Every, Duration(time.Second), Duration(time.Hour)); err != nil {
		return err
	}
	return within("check.timeout", r.Check.Timeout, Duration(10*time.Millisecond), r.Check.Every)
}

func within(field string, d, least, most Duration) error {
	if d < least || d > most {
		return fault.New(fault.Invalid, "%s: is %s; allowed: %s to %s", field, d, least, most)
	}
	return nil
}

func checkServiceAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	bad := fault.New(fault.Invalid, "address: %q is not HOST:PORT", clip(address)).WithHint("such as 10.0.0.7:9000, [fd00::7]:9000 or search-1.internal:9000")
	if err != nil {
		return bad
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return bad
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			return fault.New(fault.Invalid, "address: nobody can connect to %s", host).WithHint("name the address at which others reach the instance")
		}
		return nil
	}
	if len(host) > 253 || !validTarget.MatchString(host) {
		return bad
	}
	return nil
}

// Same says whether two registrations say the same: then the second is a heartbeat of the first.
func (r *Registration) Same(o *Registration) bool {
	if (r.Check == nil) != (o.Check == nil) || r.Check != nil && *r.Check != *o.Check {
		return false
	}
	return r.Service == o.Service && r.Instance == o.Instance && r.Address == o.Address && r.Version == o.Version &&
		r.Weight == o.Weight && r.TTL == o.TTL && maps.Equal(r.Metadata, o.Metadata)
}
