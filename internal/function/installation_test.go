package function

import (
	"errors"
	"reflect"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
)

func TestInstallationIsRead(t *testing.T) {
	const text = `topics:
  - {name: orders, partitions: 3, retention: 2d, maxBytes: forever, compact: true, writers: [function/pay, token/till], dedupe: 1h, maxEvent: 64Ki, eventsPerSecond: 2.5, bytesPerSecond: 1Mi}
  - {name: events}
config: {log-level: info, size: 5, on: yes, empty: "", day: 2026-01-02}
secrets: [db-password]
paused: [pay/on-order]
hooks:
  - {name: shop, provider: gitea, url: "git@git.example:acme/shop.git", secret: shop-hook, deployKey: shop-key, knownHosts: "git.example ssh-ed25519 AAAA\n", noStatus: true}
`
	in, err := ParseInstallation("installation.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &Installation{
		Topics: []DeclaredTopic{{Name: "orders", Partitions: 3, Retention: "2d", MaxBytes: "forever", Compact: true, Writers: []string{"function/pay", "token/till"},
			Dedupe: Duration(3600e9), MaxEvent: 64 << 10, EventsPerSecond: 2.5, BytesPerSecond: 1 << 20}, {Name: "events"}},
		Config: map[string]string{"log-level": "info", "size": "5", "on": "yes", "empty": "", "day": "2026-01-02"}, Secrets: []string{"db-password"}, Paused: []string{"pay/on-order"},
		Hooks: []Hook{{Name: "shop", Provider: ProviderGitea, URL: "ssh://git@git.example/acme/shop.git", Secret: "shop-hook", DeployKey: "shop-key", KnownHosts: "git.example ssh-ed25519 AAAA\n", NoStatus: true}},
	}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("ParseInstallation = %+v, want %+v", in, want)
	}
	for _, text := range []string{"", "# nothing\n", "{}\n", "---\n"} {
		if in, err := ParseInstallation("installation.yaml", []byte(text)); err != nil || !reflect.DeepEqual(in, &Installation{}) {
			t.Errorf("ParseInstallation(%q) = %+v, %v, want nothing", text, in, err)
		}
	}
}

// Each file and all that is said about it.
func TestInstallationErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"- a\n", "installation.yaml:1:1: is a list, not a mapping of fields"},
		{"topics:\n\t- name: a\n", "installation.yaml:2:1: not valid YAML: a tab indents this line (YAML is indented by spaces alone)"},
		{"topic: []\nsecret: [a]\nfunctions: []\n", `installation.yaml:1:1: topic: unknown field (did you mean topics?)
installation.yaml:2:1: secret: unknown field (did you mean secrets?)
installation.yaml:3:1: functions: unknown field (each function has a directory of its own below functions/, with a dalamb.yaml)`},
		{"config: {a: 1}\nconfig: {b: 2}\n", "installation.yaml:2:1: config: is given twice (first in line 1)"},
		{"config: {}\n---\nconfig: {}\n", "installation.yaml:3:1: is a second YAML document (join them into one)"},
		{`topics:
  - {name: _dalamb.runs, partitons: 3}
  - name: orders
    partitions: 2000
    retention: 2 days
    maxBytes: 1Ki
    writers: [pay]
    dedupe: 1ms
    maxEvent: 1
    eventsPerSecond: many
  - {name: orders}
  - {partitions: 0}
`, `installation.yaml:2:12: topics[0].name: "_dalamb.runs" is no name for a topic of yours (names that begin with _ are reserved)
installation.yaml:2:26: topics[0].partitons: unknown field (did you mean partitions?)
installation.yaml:4:17: topics[1].partitions: 2000 is not a number from 1 to 1024
installation.yaml:5:16: topics[1].retention: "2 days" is neither a duration of a second or more (12h, 30d) nor forever
installation.yaml:6:15: topics[1].maxBytes: "1Ki" is less than 1Mi (a topic keeps at least so much, the size of one large event)
installation.yaml:7:14: topics[1].writers: "pay" is no writer (a writer is function/NAME or token/NAME; the node's own token is token/node)
installation.yaml:8:13: topics[1].dedupe: 1ms is out of range (from 1s to 7d, or 0s for none)
installation.yaml:9:15: topics[1].maxEvent: 1 is less than an event has (at least 256 bytes, or 0 for no bound but the node's)
installation.yaml:10:22: topics[1].eventsPerSecond: is the text "many", not a number
installation.yaml:11:12: topics[2].name: topic orders is declared twice (first in line 3)
installation.yaml:12:5: topics[3].name: "" is not the name of a topic (letters, digits, dots, dashes and underscores, a letter or digit first, at most 249)
installation.yaml:12:18: topics[3].partitions: 0 is out of range (from 1; leave it out for no bound)`},
		{"config: {Log: info, list: [a], none: }\nsecrets: [db, 5, db, Db]\npaused: [pay, [a]]\n", `installation.yaml:1:15: config.Log: "Log" is no name for a configuration value (` + nameRule + `)
installation.yaml:1:27: config.list: is a list, not text
installation.yaml:1:38: config.none: is empty, not text
installation.yaml:2:15: secrets[1]: is the number 5, not text
installation.yaml:2:18: secrets[2]: secret db is declared twice (first in line 2)
installation.yaml:2:22: secrets[3]: "Db" is no name for a secret (` + nameRule + `)
installation.yaml:3:10: paused[0]: "pay" is not FUNCTION/TRIGGER (such as pay/on-order; dalamb functions NAME lists triggers)
installation.yaml:3:15: paused[1]: is a list, not text`},
		{"hooks:\n  - {name: shop, provider: githib, url: 'file:///x'}\n  - {name: shop, provider: github, url: 'https://h/p', secret: s, api: 'ftp://h'}\n", `installation.yaml:2:5: hooks[0].secret: is missing: without it anybody could tell of pushes (make one, and give it to the provider too: dalamb secret set shop-hook)
installation.yaml:2:28: hooks[0].provider: there is no provider of hooks "githib" (did you mean github or gitlab?)
installation.yaml:2:41: hooks[0].url: is of the kind "file" (write it as https://HOST/PATH or http://HOST/PATH or ssh://HOST/PATH)
installation.yaml:3:12: hooks[1].name: hook shop is declared twice (first in line 2)
installation.yaml:3:72: hooks[1].api: is of the kind "ftp" (write it as https://HOST/PATH or http://HOST/PATH)`},
	} {
		in, err := ParseInstallation("installation.yaml", []byte(c.text))
		var all *ManifestError
		if !errors.As(err, &all) || fault.KindOf(err) != fault.Invalid || in != nil || err.Error() != c.want {
			t.Errorf("ParseInstallation of\n%s\n= %v\nwant\n%s", c.text, err, c.want)
		}
	}
}
