package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/function"
)

// Setting is one line of the table: where the setting is in the file and on the command line, and what it means.
type Setting struct {
	Key  string // path in the file, parts joined by "."; also the key of Source.Set
	Flag string // flag of `dalamb up` without dashes; "" = file only
	Form string // what a value looks like, for people
	Help string
	List bool // takes a list in the file; on the command line values are joined by commas
	Live bool // a node that runs takes a new value when it reads its configuration again

	variable string            // of the environment, where it is not made of the key
	with     []string          // settings whose values the check reads too
	value    func(n *Node) any // pointer to the field
	check    func(n *Node) string
}

// Variable is the environment variable that has the setting's value: DALAMB_LIMITS_EVENT for limits.event.
func (s *Setting) Variable() string {
	if s.variable != "" {
		return s.variable
	}
	return "DALAMB_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Settings is the table, in the order of the reference page.
func Settings() []Setting {
	return slices.Concat(nodeSettings(), tlsSettings(), proxySettings(), signinSettings(), otlpSettings(), healthSettings(), auditSettings(), shipSettings(), buildSettings(), outsideSettings())
}

func nodeSettings() []Setting {
	return []Setting{
		{Key: "data", Flag: "data", Form: "directory", Help: "Where the log, code and token are kept. Made when it is not there.",
			value: func(n *Node) any { return &n.Data }, check: func(n *Node) string { return filled(n.Data) }},
		{Key: "eventlog", Flag: "log", variable: "DALAMB_LOG", Form: "disk or kafka://host:port,...", Help: "Where the events are: in the data directory, or on Apache Kafka; docs/kafka.md has the options.",
			value: func(n *Node) any { return &n.EventLog }, check: func(*Node) string { return "" }},
		{Key: "gateway", Flag: "gateway", Form: "host:port", Help: "Where requests to functions and events come in. Port 0 takes a free one.",
			value: func(n *Node) any { return &n.Gateway }, check: func(n *Node) string { return address(n.Gateway) }},
		{Key: "control", Flag: "control", variable: "DALAMB_CONTROL_LISTEN", Form: "host:port", Help: "Where the control API and /metrics are. Everything on it needs the token but /_/health.",
			value: func(n *Node) any { return &n.Control },
			check: func(n *Node) string {
				if n.Control == n.Gateway && !strings.HasSuffix(n.Control, ":0") {
					return "is the address of the gateway too; the two need one each"
				}
				return address(n.Control)
			}},
		{Key: "runner", Flag: "runner", Form: "name", Help: "What holds function instances: native; oci:crun, oci:runc, oci:runsc, oci:kata-runtime (an OCI runtime, for nodes that are root); or process, which does not isolate.",
			value: func(n *Node) any { return &n.Runner }, check: func(n *Node) string { return filled(n.Runner) }},
		{Key: "drain", Flag: "drain", Form: "duration", Help: "How long functions that run may go on after SIGTERM.",
			value: func(n *Node) any { return &n.Drain }, check: func(n *Node) string {
				return span(n.Drain, 0, function.Duration(time.Hour))
			}},
		{Key: "log.level", Flag: "log-level", Form: "debug, info, warn or error", Live: true, Help: "The least serious log lines that are written.",
			value: func(n *Node) any { return &n.Log.Level }, check: func(n *Node) string { return oneOf(n.Log.Level, "debug", "info", "warn", "error") }},
		{Key: "log.format", Flag: "log-format", Form: "text or json", Help: "How log lines look.",
			value: func(n *Node) any { return &n.Log.Format }, check: func(n *Node) string { return oneOf(n.Log.Format, "text", "json") }},
		{Key: "limits.event", Form: "size", Help: "The largest event, as it is stored. Over it: 413.",
			value: func(n *Node) any { return &n.Limits.Event }, check: func(n *Node) string { return span(n.Limits.Event, 1<<10, 16<<20) }},
		{Key: "limits.batch", Form: "size", Live: true, Help: "The largest body of one batch of events. Over it: 413.",
			with:  []string{"limits.event"},
			value: func(n *Node) any { return &n.Limits.Batch },
			check: func(n *Node) string {
				if n.Limits.Batch < n.Limits.Event {
					return fmt.Sprintf("is %s, less than limits.event, %s", n.Limits.Batch, n.Limits.Event)
				}
				return span(n.Limits.Batch, 1<<10, 64<<20)
			}},
		{Key: "limits.request", Form: "size", Help: "The largest body of a request that is read whole before the function gets it. Over it: 413.",
			value: func(n *Node) any { return &n.Limits.Request }, check: func(n *Node) string { return span(n.Limits.Request, 1<<10, 256<<20) }},
		{Key: "limits.bodies", Form: "size", Help: "What the bodies that are too long for an event may take of the log together: those of requests that are answered later. One more: 503.",
			with:  []string{"limits.request"},
			value: func(n *Node) any { return &n.Limits.Bodies },
			check: func(n *Node) string {
				if n.Limits.Bodies < n.Limits.Request {
					return fmt.Sprintf("is %s, less than limits.request, %s", n.Limits.Bodies, n.Limits.Request)
				}
				return span(n.Limits.Bodies, 1<<10, 1<<50)
			}},
		{Key: "limits.upload", Form: "size", Live: true, Help: "The largest body of a request that an http function gets while it comes: one that is longer than limits.request, or whose length is not known ahead. Over it: 413.",
			with:  []string{"limits.request"},
			value: func(n *Node) any { return &n.Limits.Upload },
			check: func(n *Node) string {
				if n.Limits.Upload < n.Limits.Request {
					return fmt.Sprintf("is %s, less than limits.request, %s", n.Limits.Upload, n.Limits.Request)
				}
				return span(n.Limits.Upload, 1<<10, 1<<40)
			}},
		{Key: "limits.response", Form: "size", Help: "The largest answer of a function that is not streamed. Over it the call fails, and is not tried again.",
			value: func(n *Node) any { return &n.Limits.Response }, check: func(n *Node) string { return span(n.Limits.Response, 1<<10, 256<<20) }},
		{Key: "limits.held", Form: "size", Help: "All request bodies that the gateway holds at a time. Over it: 503.",
			with:  []string{"limits.request", "limits.batch"},
			value: func(n *Node) any { return &n.Limits.Held },
			check: func(n *Node) string {
				if most := max(n.Limits.Request, n.Limits.Batch); n.Limits.Held < most {
					return fmt.Sprintf("is %s, less than one request may have, %s", n.Limits.Held, most)
				}
				return span(n.Limits.Held, 1<<10, 64<<30)
			}},
		{Key: "limits.cache", Form: "size", Help: "All answers that the gateway keeps for routes with a cache; where these may keep more together, each gets its part.",
			value: func(n *Node) any { return &n.Limits.Cache }, check: func(n *Node) string { return span(n.Limits.Cache, 1<<20, 1<<40) }},
		{Key: "limits.instances", Form: "number", Live: true, Help: "Instances of all functions together on this node.",
			value: func(n *Node) any { return &n.Limits.Instances }, check: func(n *Node) string {
				return span(n.Limits.Instances, 1, 100_000)
			}},
		{Key: "sandbox.ids", Form: "first:count", Help: "User and group ids of the host that nobody has, for the sandboxes of a node that is root: 65536 for each instance. Nodes of one machine share them.",
			value: func(n *Node) any { return &n.Sandbox.IDs }, check: func(n *Node) string { return n.Sandbox.IDs.check() }},
		{Key: "sandbox.spares", Form: "number", Help: "Sandboxes that wait for a function at most, each of some MiB: so many wait as were started within one second of the last minute, and 2 in any case. 0: none is made ahead.",
			value: func(n *Node) any { return &n.Sandbox.Spares }, check: func(n *Node) string { return span(n.Sandbox.Spares, 0, 1000) }},
	}
}

// outsideSettings are about keys, registries and what is kept of requests.
func outsideSettings() []Setting {
	return []Setting{
		{Key: "dns", Flag: "dns", Form: "host:port", Help: "Where services are answered for in DNS, by UDP and TCP: SERVICE.dalamb; docs/services.md. Port 0 takes a free one. Default: nowhere.",
			value: func(n *Node) any { return &n.DNS }, check: func(n *Node) string {
				if n.DNS == "" {
					return ""
				}
				return address(n.DNS)
			}},
		{Key: "kubernetes.url", Form: "https://host:port", Help: "The API of the Kubernetes whose services routes may have as upstreams, where they name no other; docs/upstreams.md. Default: that of the pod that the node is in, if it is in one.",
			value: func(n *Node) any { return &n.Kubernetes.URL }, check: func(n *Node) string { return secured(n.Kubernetes.URL) }},
		{Key: "kubernetes.account", Form: "directory", Help: "Where the node's account for that API is, in the files token and ca.crt. Default: where Kubernetes puts a pod's.",
			value: func(n *Node) any { return &n.Kubernetes.Account }, check: func(n *Node) string { return filled(n.Kubernetes.Account) }},
		{Key: "secrets.key", Flag: "secret-key", Form: "file", Help: "The key that secrets are encrypted with, the same on all nodes. Made when the first secret is set. Default: secret.key in the data directory; docs/secrets.md.",
			value: func(n *Node) any { return &n.Secrets.Key }, check: func(n *Node) string { return plain(n.Secrets.Key) }},
		{Key: "secrets.passphrase", Flag: "secret-passphrase", Form: "file or fd:N", Help: "Where the passphrase is that the secrets' key is encrypted with. Default: it is not.",
			value: func(n *Node) any { return &n.Secrets.Passphrase }, check: func(n *Node) string { return plain(n.Secrets.Passphrase) }},
		{Key: "secrets.kms", Flag: "secret-kms", Form: "program and arguments", Help: "What wraps and unwraps the secrets' key: it is started with wrap or unwrap as its last argument, reads stdin and prints the answer. Default: none.",
			value: func(n *Node) any { return &n.Secrets.KMS },
			check: func(n *Node) string {
				if n.Secrets.KMS != "" && n.Secrets.Passphrase != "" {
					return "and secrets.passphrase exclude each other"
				}
				return plain(n.Secrets.KMS)
			}},
		{Key: "registries", Form: "list of addresses", List: true, Help: "How image registries are spoken to, where it is not as usual: http://HOST for plain HTTP, https://HOST?mirror=HOST, https://HOST?user=NAME&password-file=FILE; docs/images.md.",
			value: func(n *Node) any { return &n.Registries }, check: func(*Node) string { return "" }},
		{Key: "redact", Form: "list of header names", List: true, Live: true, Help: "Headers whose values are not kept with requests in the log, beside authorization, proxy-authorization, cookie, set-cookie and x-api-key.",
			value: func(n *Node) any { return &n.Redact }, check: func(n *Node) string { return headerNames(n.Redact) }},
		{Key: "aws.runtimes", Form: "list of RUNTIME=IMAGE", List: true, Help: "Images upon which functions are laid that AWS's API makes with a runtime of a name, such as python3.12=public.ecr.aws/lambda/python:3.12; docs/aws.md. Default: none, the machine's own interpreters.",
			value: func(n *Node) any { return &n.AWS.Runtimes }, check: func(*Node) string { return "" }},
		{Key: "callbacks.allow", Form: "list of networks", List: true, Live: true, Help: "Networks that are not of the internet and may be called back nevertheless, such as 10.1.0.0/16; docs/async.md. Default: none.",
			value: func(n *Node) any { return &n.Callbacks.Allow }, check: func(n *Node) string { return networks(n.Callbacks.Allow) }},
	}
}

// Same says whether the setting has one value in two configurations.
func (s *Setting) Same(a, b *Node) bool { return reflect.DeepEqual(s.value(a), s.value(b)) }

// Copy gives the setting in one configuration the value that it has in another.
func (s *Setting) Copy(to, from *Node) {
	reflect.ValueOf(s.value(to)).Elem().Set(reflect.ValueOf(s.value(from)).Elem())
}

// set reads text into the setting's field. The error says what a value looks like.
func (s *Setting) set(n *Node, text string) error {
	switch p := s.value(n).(type) {
	case *string:
		*p = text
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*p = v
	case *int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = v
	case *function.Bytes:
		return p.UnmarshalText([]byte(text))
	case *function.Duration:
		return p.UnmarshalText([]byte(text))
	case *EventLog:
		return p.UnmarshalText([]byte(text))
	case *IDs:
		return p.UnmarshalText([]byte(text))
	case *Ratio:
		return p.UnmarshalText([]byte(text))
	case *Runtimes:
		return p.UnmarshalText([]byte(text))
	case *Bounds:
		return p.UnmarshalText([]byte(text))
	case *List:
		*p = parseList(text)
	case *Groups:
		return p.UnmarshalText([]byte(text))
	case *[]Registry:
		list, err := parseRegistries(text)
		*p = list
		return err
	case *Sinks:
		list, err := parseSinks(text)
		*p = list
		return err
	case *[]string:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.ToLower(strings.TrimSpace(item)); item != "" {
				*p = append(*p, item)
			}
		}
	default:
		return fmt.Errorf("setting %s has a field of type %T, which nothing here reads", s.Key, p)
	}
	return nil
}

// Text is the setting's value as it is written in the file.
func (s *Setting) Text(n *Node) string {
	switch p := s.value(n).(type) {
	case *string:
		return *p
	case *bool:
		return strconv.FormatBool(*p)
	case *[]Registry:
		return registriesText(*p)
	case *Sinks:
		return p.String()
	case *[]string:
		return "[" + strings.Join(*p, ", ") + "]"
	case *function.Bytes:
		return p.String()
	case *function.Duration:
		return p.String()
	case *List:
		return p.String()
	case *Groups:
		return p.String()
	case *EventLog:
		return p.String()
	case *IDs:
		return p.String()
	case *Ratio:
		return p.String()
	case *Runtimes:
		return p.String()
	case *Bounds:
		return p.String()
	case *int:
		return strconv.Itoa(*p)
	}
	return ""
}

// Switch says whether a flag of the setting can stand without a value, which is true.
func (s *Setting) Switch() bool {
	_, is := s.value(Default()).(*bool)
	return is
}

// plain is about a setting that may be empty.
func plain(v string) string {
	if strings.ContainsAny(v, "\x00\n") {
		return "is no single line"
	}
	return ""
}

// secured is about the address of a server that gets to see a token; it may be empty.
func secured(v string) string {
	u, err := url.Parse(v)
	switch {
	case v == "":
		return ""
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Sprintf("is %q, not an address such as https://10.0.0.1:6443", v)
	}
	return ""
}

func filled(v string) string {
	if strings.TrimSpace(v) == "" || strings.ContainsAny(v, "\x00\n") {
		return "may not be empty"
	}
	return ""
}

func address(v string) string {
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return fmt.Sprintf("is %q, not host:port such as 127.0.0.1:8080 or :8080", v)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("is %q, whose port is not a number from 0 to 65535", v)
	} else if strconv.FormatUint(n, 10) != port {
		return fmt.Sprintf("is %q, whose port is not written plainly", v)
	}
	return ""
}

func oneOf(v string, allowed ...string) string {
	if slices.Contains(allowed, v) {
		return ""
	}
	return fmt.Sprintf("is %q; allowed: %s", v, strings.Join(allowed, ", "))
}

func span[T int | function.Bytes | function.Duration](v, least, most T) string {
	if v < least || v > most {
		return fmt.Sprintf("is %v; allowed: %v to %v", v, least, most)
	}
	return ""
}

func networks(texts []string) string {
	for _, text := range texts {
		if _, err := netip.ParsePrefix(text); err != nil {
			return fmt.Sprintf("has %q, which is no network such as 10.1.0.0/16", text)
		}
	}
	return ""
}

// headerNames: RFC 9110, section 5.1, names are tokens.
func headerNames(names []string) string {
	for _, n := range names {
		if n == "" || strings.ContainsFunc(n, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
		}) {
			return fmt.Sprintf("has %q, which is no header name", n)
		}
	}
	return ""
}
