package function

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dalamb/dalamb/internal/fault"
)

// Installation is what an installation.yaml declares: what of an installation is no function.
type Installation struct {
	Topics  []DeclaredTopic   `yaml:"topics,omitempty"`
	Config  map[string]string `yaml:"config,omitempty"`
	Secrets []string          `yaml:"secrets,omitempty"` // names
	Paused  []string          `yaml:"paused,omitempty"`  // FUNCTION/TRIGGER
	Hooks   []Hook            `yaml:"hooks,omitempty"`
}

// DeclaredTopic is a topic of the users'. What is empty is not said: a new topic gets the default, one that is there stays as it is.
type DeclaredTopic struct {
	Name            string   `yaml:"name"`
	Partitions      int      `yaml:"partitions,omitempty"`
	Retention       string   `yaml:"retention,omitempty"`
	MaxBytes        string   `yaml:"maxBytes,omitempty"`
	Compact         bool     `yaml:"compact,omitempty"`
	Writers         []string `yaml:"writers,omitempty,flow"`
	Dedupe          Duration `yaml:"dedupe,omitempty"`
	MaxEvent        Bytes    `yaml:"maxEvent,omitempty"`
	EventsPerSecond float64  `yaml:"eventsPerSecond,omitempty"`
	BytesPerSecond  Bytes    `yaml:"bytesPerSecond,omitempty"`
	Seal            bool     `yaml:"seal,omitempty"`
}

// Rules are what the topic is held to.
func (t *DeclaredTopic) Rules() TopicRules {
	r := TopicRules{Dedupe: t.Dedupe, MaxEvent: t.MaxEvent, Events: t.EventsPerSecond, Bytes: t.BytesPerSecond, Seal: t.Seal}
	if len(t.Writers) > 0 {
		r.Writers = t.Writers
	}
	return r
}

// MaxInstallation is how many bytes of an installation.yaml are read.
const MaxInstallation = 4 << 20

// maxInstallationNodes bounds an installation.yaml as maxNodes does a manifest: it may hold every configuration value that there is.
const maxInstallationNodes = 500_000

// ParseInstallation reads an installation.yaml as strictly as ParseManifest does a manifest; file is for messages only. The error is a
// *ManifestError with all problems, and then there is no Installation. A file that is empty declares nothing.
func ParseInstallation(file string, data []byte) (*Installation, error) {
	p := &parser{file: file, most: maxInstallationNodes, elsewhere: map[string]string{
		"functions":    "each function has a directory of its own below functions/, with a dalamb.yaml",
		"environments": "each environment has a directory of its own below environments/, with an installation.yaml",
	}}
	if len(data) > MaxInstallation {
		p.report(nil, "", "the file is too large", fmt.Sprintf("at most %d bytes are read", MaxInstallation))
		return nil, p.err()
	}
	var in Installation
	for i, doc := range p.documents(data) {
		if i > 0 {
			p.report(doc, "", "is a second YAML document", "join them into one")
			break
		}
		p.positions = map[string]*yaml.Node{"": doc}
		installationValue().read(p, doc, "", &in)
		p.declaredTopics(in.Topics)
		p.declaredNames(&in)
		p.declaredHooks(in.Hooks)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return &in, nil
}

func installationValue() value[Installation] {
	type I = Installation
	return object(nil,
		field("topics", "Topics with their settings and rules.", list(topicValue(), none[DeclaredTopic]), func(i *I) *[]DeclaredTopic { return &i.Topics }),
		field("config", "Configuration values by their names.", mapOf(word()), func(i *I) *map[string]string { return &i.Config }),
		field("secrets", "Names of the secrets that are to be there.", list(text[string](), none[string]), func(i *I) *[]string { return &i.Secrets }),
		field("paused", "Triggers that are paused, as FUNCTION/TRIGGER.", list(text[string](), none[string]), func(i *I) *[]string { return &i.Paused }),
		field("hooks", "Repositories of git servers, of which pushes are delivered.", list(hookValue(), none[Hook]), func(i *I) *[]Hook { return &i.Hooks }),
	)
}

func topicValue() value[DeclaredTopic] {
	type T = DeclaredTopic
	return object([]string{"name"},
		field("name", "The topic's name.", text[string](), func(t *T) *string { return &t.Name }),
		field("partitions", "How many it has; they can only grow.", count(), func(t *T) *int { return &t.Partitions }),
		field("retention", "How long events are kept, or forever.", word(), func(t *T) *string { return &t.Retention }),
		field("maxBytes", "How much is kept, or forever.", word(), func(t *T) *string { return &t.MaxBytes }),
		field("compact", "Of each key only the newest event is kept.", truth(), func(t *T) *bool { return &t.Compact }),
		field("writers", "Who may write to it.", list(text[string](), none[string]), func(t *T) *[]string { return &t.Writers }),
		field("dedupe", "For how long the same source and id are one event.", duration(), func(t *T) *Duration { return &t.Dedupe }),
		field("maxEvent", "The largest event that it takes.", size(), func(t *T) *Bytes { return &t.MaxEvent }),
		field("eventsPerSecond", "What one token may write in a second on a node.", number(), func(t *T) *float64 { return &t.EventsPerSecond }),
		field("bytesPerSecond", "What one token may write in a second on a node.", size(), func(t *T) *Bytes { return &t.BytesPerSecond }),
		field("seal", "The data of events is stored encrypted, and can be forgotten by key; cannot be undone.", truth(), func(t *T) *bool { return &t.Seal }),
	)
}

func hookValue() value[Hook] {
	return object([]string{"name", "provider", "url", "secret"},
		field("name", "The hook's name.", text[string](), func(h *Hook) *string { return &h.Name }),
		field("provider", "Whose server it is.", text(HookProviders()...), func(h *Hook) *string { return &h.Provider }),
		field("url", "The repository's.", text[string](), func(h *Hook) *string { return &h.URL }),
		field("secret", "Name of the secret that the provider signs with.", text[string](), func(h *Hook) *string { return &h.Secret }),
		field("token", "Name of the secret that opens the repository by https, and the provider's API.", text[string](), func(h *Hook) *string { return &h.Token }),
		field("deployKey", "Name of the secret that is a private key for ssh.", text[string](), func(h *Hook) *string { return &h.DeployKey }),
		field("knownHosts", "Lines in the form of sshd(8).", text[string](), func(h *Hook) *string { return &h.KnownHosts }),
		field("api", "Base URL of the provider's API.", text[string](), func(h *Hook) *string { return &h.API }),
		field("noStatus", "The provider is not told what came of a commit.", truth(), func(h *Hook) *bool { return &h.NoStatus }),
	)
}

// says reports an error about a field, unless reading has complained about it. Errors of checks begin with the field's name.
func (p *parser) says(at string, err error) {
	if err == nil {
		return
	}
	name, message, named := strings.Cut(err.Error(), ": ")
	if !named {
		name, message = "", err.Error()
	}
	if field := join(at, name); !p.reported(0, field) {
		p.reportAt(strings.TrimSuffix(field, "."), message, fault.HintOf(err))
	}
}

// once reports what stands in a list twice.
func (p *parser) once(lines map[string]int, at, what, name string) {
	if line, twice := lines[name]; twice && name != "" {
		p.reportAt(at, fmt.Sprintf("%s %s is declared twice", what, clip(name)), fmt.Sprintf("first in line %d", line))
	}
	lines[name] = p.at(at).Line
}

func (p *parser) declaredTopics(topics []DeclaredTopic) {
	lines := map[string]int{}
	for i := range topics {
		t, at := &topics[i], fmt.Sprintf("topics[%d]", i)
		p.once(lines, at+".name", "topic", t.Name)
		p.says(at, CheckTopicName(t.Name))
		if p.given(at + ".partitions") {
			p.says(at, CheckPartitions(t.Partitions))
		}
		if p.given(at + ".retention") {
			_, _, err := ParseRetention(t.Retention)
			p.says(at, err)
		}
		if p.given(at + ".maxBytes") {
			_, _, err := ParseTopicSize(t.MaxBytes)
			p.says(at, err)
		}
		for _, r := range []TopicRules{{Writers: t.Writers}, {Dedupe: t.Dedupe}, {MaxEvent: t.MaxEvent}, {Events: t.EventsPerSecond}, {Bytes: t.BytesPerSecond}} {
			p.says(at, r.Check())
		}
	}
}

func (p *parser) declaredNames(in *Installation) {
	lines := map[string]int{}
	for i, name := range in.Secrets {
		at := fmt.Sprintf("secrets[%d]", i)
		p.once(lines, at, "secret", name)
		if !ValidValueName(name) && !p.reported(0, at) {
			p.reportAt(at, fmt.Sprintf("%q is no name for a secret", clip(name)), nameRule)
		}
	}
	for name := range in.Config {
		if at := join("config", name); !ValidValueName(name) {
			p.reportAt(at, fmt.Sprintf("%q is no name for a configuration value", clip(name)), nameRule)
		}
	}
	for i, path := range in.Paused {
		at := fmt.Sprintf("paused[%d]", i)
		if fn, trigger, ok := strings.Cut(path, "/"); (!ok || fn == "" || trigger == "") && !p.reported(0, at) {
			p.reportAt(at, fmt.Sprintf("%q is not FUNCTION/TRIGGER", clip(path)), "such as pay/on-order; dalamb functions NAME lists triggers")
		}
	}
}

func (p *parser) declaredHooks(hooks []Hook) {
	lines := map[string]int{}
	for i := range hooks {
		at := fmt.Sprintf("hooks[%d]", i)
		p.once(lines, at+".name", "hook", hooks[i].Name)
		for _, check := range hooks[i].checks() {
			p.says(at, check())
		}
	}
}
