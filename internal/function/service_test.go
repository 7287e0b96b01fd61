package function

import (
	"strings"
	"testing"
	"time"
)

func TestRegistrationsAreChecked(t *testing.T) {
	good := func() Registration {
		return Registration{Service: "web", Instance: "web-1.example", Address: "10.0.0.7:80"}
	}
	r := good()
	if err := r.Validate(); err != nil || r.TTL != Duration(30*time.Second) || r.Weight != 1 {
		t.Fatalf("Validate = %+v, %v", r, err)
	}
	c := good()
	given := &ServiceCheck{Path: "/"}
	c.Check = given
	if err := c.Validate(); err != nil || *c.Check != (ServiceCheck{"/", Duration(10 * time.Second), Duration(2 * time.Second), 3}) || given.Every != 0 {
		t.Fatalf("Validate = %+v, %v", c.Check, err)
	}
	again := c
	if err := again.Validate(); err != nil || !again.Same(&c) || r.Same(&c) {
		t.Errorf("what was checked is not the same when it is checked again: %+v, %v", again, err)
	}
	for _, address := range []string{"[fd00::7]:9000", "search-1.internal:65535", "h:1", "127.0.0.1:80", "under_score:80"} {
		r := good()
		r.Address = address
		if err := r.Validate(); err != nil {
			t.Errorf("address %q: %v", address, err)
		}
	}
	for name, c := range map[string]struct {
		change func(*Registration)
		want   string
	}{
		"service":      {func(r *Registration) { r.Service = "Web" }, "service: \"Web\" is no name"},
		"no instance":  {func(r *Registration) { r.Instance = "" }, "instance: "},
		"empty label":  {func(r *Registration) { r.Instance = "a..b" }, "instance: "},
		"slash":        {func(r *Registration) { r.Instance = "a/b" }, "instance: "},
		"health":       {func(r *Registration) { r.Instance = "a/health" }, "instance: "},
		"no port":      {func(r *Registration) { r.Address = "10.0.0.7" }, "address: "},
		"port 0":       {func(r *Registration) { r.Address = "10.0.0.7:0" }, "address: "},
		"big port":     {func(r *Registration) { r.Address = "10.0.0.7:65536" }, "address: "},
		"port +80":     {func(r *Registration) { r.Address = "10.0.0.7:+80" }, "address: "},
		"a URL":        {func(r *Registration) { r.Address = "http://10.0.0.7:80" }, "address: "},
		"everywhere":   {func(r *Registration) { r.Address = "0.0.0.0:80" }, "nobody can connect"},
		"multicast":    {func(r *Registration) { r.Address = "[ff02::1]:80" }, "nobody can connect"},
		"line break":   {func(r *Registration) { r.Address = "a\r\nb:80" }, "address: "},
		"long version": {func(r *Registration) { r.Version = strings.Repeat("1", 256) }, "version: "},
		"weight":       {func(r *Registration) { r.Weight = -1 }, "weight: is -1"},
		"metadata":     {func(r *Registration) { r.Metadata = map[string]string{"a": strings.Repeat("x", 4<<10)} }, "metadata: "},
		"short ttl":    {func(r *Registration) { r.TTL = 1 }, "ttl: is 1ns"},
		"ttl, check":   {func(r *Registration) { r.TTL, r.Check = Duration(time.Minute), &ServiceCheck{} }, "ttl: an instance that is checked"},
		"path":         {func(r *Registration) { r.Check = &ServiceCheck{Path: "healthz"} }, "check.path"},
		"path break":   {func(r *Registration) { r.Check = &ServiceCheck{Path: "/a HTTP/1.1\r\nX: y"} }, "check.path"},
		"often":        {func(r *Registration) { r.Check = &ServiceCheck{Every: Duration(time.Millisecond)} }, "check.every"},
		"slow":         {func(r *Registration) { r.Check = &ServiceCheck{Timeout: Duration(time.Minute)} }, "check.timeout"},
		"failures":     {func(r *Registration) { r.Check = &ServiceCheck{Failures: 101} }, "check.failures"},
	} {
		r := good()
		c.change(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
