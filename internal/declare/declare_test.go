package declare

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/wire"
)

// Manifests that use much of what there is.
var manifests = []string{
	"name: a\nentry: {type: stdio, command: [sh, x.sh]}\n",
	`name: full
base: scratch
entry: {type: http, command: [./x, "1", "true", "", "a b"], port: 9000, concurrency: 3, ready: "/r?a=b"}
resources: {memory: 64Mi, cpu: 0.5, pids: 20, files: 64, tmp: 1Mi}
timeout: 1500ms
scale: {min: 1, max: 4, target: 2, reserved: 1, idle: 1h, freeze: 0s}
health: {path: /h}
env: {A: "1", B: "", C: "yes: no", D: "null"}
secrets: [{name: s, env: S}, {name: s}]
config: [{name: c, env: CC}]
network: egress
allow: [{to: 10.0.0.0/8, ports: [443]}, {to: internet}]
isolation: strict
async: {onFailure: {topic: events}}
triggers:
  - {name: one, filter: {type: [x, {prefix: "null"}], data: {n: [{numeric: [">=", 18.5]}]}}, order: none, start: earliest, retry: {attempts: 9, never: [Bad]}, batch: {size: 10}}
  - {name: two, topic: orders, emit: {topic: events}, rate: 5/s, dedupe: {window: 1h}}
  - {name: tick, schedule: "*/5 * * * *", timezone: Europe/Berlin, jitter: 10s, catchUp: all}
  - {route: {method: GET, host: a.b, path: "/x/{id}"}}
`,
	"name: img\nimage: docker.io/library/nginx:1\nentry: {type: http}\ntriggers: [{filter: {}}]\n",
	"name: lines\nentry: {type: stdio, mode: lines, command: [x]}\nscale: {max: 1}\n",
	"name: slow\nentry: {type: lambda, command: [x]}\nrollout: {strategy: canary, steps: [1%, 50%], every: 5m, watch: 2m, gates: {errors: 0.5%, latency: 0, check: smoke}, onNewer: queue}\n",
}

func parse(t *testing.T, text string) function.Spec {
	t.Helper()
	m, err := function.ParseManifest("m", []byte(text))
	if err != nil {
		t.Fatalf("ParseManifest(%s): %v", text, err)
	}
	return m.Functions[0].Spec
}

// Versions of before may have a bound on differences without copies, which a manifest cannot have now.
func TestABoundWithoutMeaningIsNotWritten(t *testing.T) {
	spec := parse(t, "name: slow\nentry: {type: lambda, command: [x]}\nrollout: {strategy: canary}\n")
	for _, bound := range []function.Percent{0, 1, 30} {
		spec.Rollout.Gates.Differences = bound
		got, err := Manifest(&spec, "code")
		if err != nil || strings.Contains(string(got), "differences") {
			t.Errorf("Manifest with a bound of %s = %q, %v", bound, got, err)
			continue
		}
		if again := parse(t, string(got)); !same(&spec, &again) || spec.Rollout.Gates.Differences != bound {
			t.Errorf("read again it is another function, or Manifest has changed its bound of %s to %s", bound, spec.Rollout.Gates.Differences)
		}
	}
	spec = parse(t, "name: slow\nentry: {type: lambda, command: [x]}\nrollout: {strategy: shadow, gates: {differences: 30%}}\n")
	if got, err := Manifest(&spec, "code"); err != nil || !strings.Contains(string(got), "differences: 30%") {
		t.Errorf("Manifest of one that compares = %q, %v, want its bound", got, err)
	}
}

func TestAManifestReadAgainIsTheSameFunction(t *testing.T) {
	for _, text := range manifests {
		spec := parse(t, text)
		code := "code"
		if spec.Image != "" {
			code = ""
		}
		got, err := Manifest(&spec, code)
		if err != nil {
			t.Errorf("Manifest of\n%s\n= %v", text, err)
			continue
		}
		again := parse(t, string(got))
		if !same(&spec, &again) || !reflect.DeepEqual(spec.Rollout, again.Rollout) {
			t.Errorf("Manifest of\n%s\nis another function:\n%s", text, got)
		}
		for _, needless := range []string{"pids: 64\n", "max: 10\n", "attempts: 4", "order: key", "{}"} {
			if strings.Contains(string(got), needless) && !strings.Contains(text, "filter: {}") {
				t.Errorf("Manifest says %q, which goes without saying:\n%s", needless, got)
			}
		}
	}
}

// FuzzInstallation: whatever stands in the file, it is read or refused with words, and what was read can be compared.
func FuzzInstallation(f *testing.F) {
	for _, seed := range []string{"", "topics: [{name: a, partitions: 3, dedupe: 1h}]\nconfig: {a: b}\nsecrets: [s]\npaused: [a/b]\n", "config: {a: 1}\n", "topics: 1", "a: b", "---\n---\n", "config: {a: *x}", "topics: [{name: _x}]", "hooks: [{name: shop, provider: github, url: 'https://h/p', secret: s}]\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseInstallation("installation.yaml", []byte(text))
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || err.Error() == "" {
				t.Errorf("parseInstallation(%q) = %v, want an Invalid fault with words", text, err)
			}
			return
		}
		s.check()
		if _, err := Compare(&State{}, s, true); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("Compare = %v, want an Invalid fault", err)
		}
	})
}

func steps(p *Plan) (list []string) {
	for _, s := range p.Steps {
		line := s.Verb + " " + s.What
		if len(s.Details) > 0 {
			line += ": " + strings.Join(s.Details, "; ")
		}
		list = append(list, line)
	}
	return list
}

func TestCompareSaysWhatDiffers(t *testing.T) {
	live := func(text, code string) Function {
		return Function{Alias: function.LiveAlias, Spec: parse(t, text), Code: code}
	}
	base := func() *State {
		return &State{
			Topics: []function.DeclaredTopic{{Name: "orders", Partitions: 4, Retention: "30d", MaxBytes: "10Gi", Dedupe: function.Duration(3600e9)}},
			Config: map[string]string{"level": "info"}, Secrets: []string{"db"}, Paused: []string{"pay/on"},
			Functions: []Function{live("name: pay\nentry: {type: stdio, command: [x]}\nenv: {A: old}\ntriggers: [{name: on}]", "sha256:1")},
		}
	}
	for name, c := range map[string]struct {
		change func(want *State)
		prune  bool
		want   []string
		notes  int
	}{
		"nothing":   {func(*State) {}, true, nil, 0},
		"unsaid":    {func(s *State) { s.Topics[0] = function.DeclaredTopic{Name: "orders", Dedupe: s.Topics[0].Dedupe} }, true, nil, 0},
		"topic":     {func(s *State) { s.Topics[0].Partitions, s.Topics[0].Dedupe = 8, 0 }, false, []string{"change topic orders: partitions: 4 -> 8; dedupe: 1h -> 0s"}, 0},
		"new topic": {func(s *State) { s.Topics = append(s.Topics, function.DeclaredTopic{Name: "more"}) }, false, []string{"create topic more"}, 0},
		"config":    {func(s *State) { s.Config = map[string]string{"level": "debug", "x": "1"} }, false, []string{`change configuration value level: "info" -> "debug"`, "create configuration value x"}, 0},
		"code":      {func(s *State) { s.Functions[0].Code = "sha256:2" }, false, []string{"change function pay: code: other files"}, 0},
		"spec": {func(s *State) {
			s.Functions[0].Spec = parse(t, "name: pay\nentry: {type: stdio, command: [x, y]}\ntimeout: 1s\nenv: {A: new, B: b}\ntriggers: [{name: on}]")
		}, false, []string{`change function pay: entry.command[1]: (absent) -> "y"; env.A: another value; env.B: new; timeout: "30s" -> "1s"`}, 0},
		"new function": {func(s *State) {
			s.Functions = append(s.Functions, live("name: z\nentry: {type: stdio, command: [x]}", "sha256:1"))
		}, false, []string{"create function z"}, 0},
		"alias": {func(s *State) {
			s.Functions = append(s.Functions, Function{Alias: "preview", Spec: s.Functions[0].Spec, Code: "sha256:1"})
		}, false, []string{"create function pay@preview"}, 0},
		"less":           {func(s *State) { *s = State{} }, false, nil, 5},
		"less, pruned":   {func(s *State) { *s = State{} }, true, []string{"remove configuration value level", "remove function pay"}, 2},
		"to be built":    {func(s *State) { s.Functions[0].Build, s.Functions[0].Code = &function.Build{}, "" }, false, []string{"change function pay: code: to be built"}, 0},
		"goes on":        {func(s *State) { s.Paused = nil }, true, []string{"change trigger pay/on: goes on"}, 0},
		"stays paused":   {func(s *State) { s.Paused = nil }, false, nil, 1},
		"paused as well": {func(s *State) { s.Paused = append(s.Paused, "pay/invoke") }, false, []string{"change trigger pay/invoke: paused"}, 0},
	} {
		want := base()
		c.change(want)
		p, err := Compare(base(), want, c.prune)
		if err != nil {
			t.Errorf("%s: Compare = %v", name, err)
			continue
		}
		if got := steps(p); !slices.Equal(got, c.want) || len(p.Notes) != c.notes {
			t.Errorf("%s: Compare = %q, notes %q; want %q and %d notes", name, got, p.Notes, c.want, c.notes)
		}
	}
	aliased := base()
	aliased.Functions = append(aliased.Functions, Function{Alias: "preview", Spec: aliased.Functions[0].Spec, Code: "sha256:1"})
	for _, c := range []struct{ want, step string }{{"pay", "remove function pay@preview"}, {"", "remove function pay"}} {
		want := base()
		if c.want == "" {
			want.Functions, want.Paused = nil, nil
		}
		p, err := Compare(aliased, want, true)
		if err != nil || !slices.Equal(steps(p), []string{c.step}) {
			t.Errorf("an alias that is not declared: Compare = %q, %v; want %s", steps(p), err, c.step)
		}
	}
	for name, c := range map[string]struct {
		change func(want *State)
		words  string
	}{
		"fewer partitions": {func(s *State) { s.Topics[0].Partitions = 3 }, "topic orders has 4 partitions, and 3 are declared"},
		"compact":          {func(s *State) { s.Topics[0].Compact = true }, "compact is false, and true is declared"},
		"secret":           {func(s *State) { s.Secrets = append(s.Secrets, "x") }, "secret x is not there"},
		"paused":           {func(s *State) { s.Paused = []string{"pay/off"} }, "pay/off is no trigger"},
		"taken secret":     {func(s *State) { s.Functions[0].Spec.Secrets = []function.Secret{{Name: "y"}} }, "secret y is not there, and is taken by pay: set it first"},
		"taken value":      {func(s *State) { s.Functions[0].Spec.Config = []function.Setting{{Name: "y", Env: "Y"}} }, "function pay takes configuration value y"},
	} {
		want := base()
		c.change(want)
		if _, err := Compare(base(), want, true); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: Compare = %v, want Invalid with %q", name, err, c.words)
		}
	}
}

// What is built is compared by its source, and by how it is built.
func TestASourceIsBuiltAgainWhenSomethingOfItIsOther(t *testing.T) {
	how := func() *function.Build { return &function.Build{Type: function.BuildGo, Target: "./cmd/pay"} }
	built := &function.Built{Source: "sha256:s", How: how()}
	for _, c := range []struct {
		name  string
		built *function.Built
		f     Function
		want  bool
	}{
		{"the same", built, Function{Source: "sha256:s", Build: how()}, true},
		{"other source", built, Function{Source: "sha256:t", Build: how()}, false},
		{"another way", built, Function{Source: "sha256:s", Build: &function.Build{Type: function.BuildGo}}, false},
		{"what was not built", nil, Function{Source: "sha256:s", Build: how()}, false},
		{"what an older dalamb has built", &function.Built{Source: "sha256:s"}, Function{Source: "sha256:s", Build: how()}, false},
	} {
		if got := c.f.builtAs(c.built); got != c.want {
			t.Errorf("%s: builtAs = %v", c.name, got)
		}
	}
}

func TestReadRefusesWhatCannotBe(t *testing.T) {
	const fn = "name: pay\nentry: {type: stdio, command: [sh, x.sh]}\ncode: .\n"
	for name, c := range map[string]struct {
		files map[string]string
		words string
	}{
		"nothing":        {nil, "the directory needs a file installation.yaml"},
		"unknown field":  {map[string]string{InstallationFile: "topic: []\n"}, "installation.yaml:1:1: topic: unknown field (did you mean topics?)"},
		"wrong type":     {map[string]string{InstallationFile: "topics: x\n"}, `installation.yaml:1:9: topics: is the text "x", not a list`},
		"wrong duration": {map[string]string{InstallationFile: "topics: [{name: a, dedupe: soon}]\n"}, `installation.yaml:1:28: topics[0].dedupe: "soon" is not a duration`},
		"two documents":  {map[string]string{InstallationFile: "config: {}\n---\nconfig: {}\n"}, "installation.yaml:3:1: is a second YAML document (join them into one)"},
		"system topic":   {map[string]string{InstallationFile: "topics: [{name: _dalamb.control}]\n"}, "is no name for a topic of yours"},
		"same topic":     {map[string]string{InstallationFile: "topics: [{name: a}, {name: a}]\n"}, "installation.yaml:1:28: topics[1].name: topic a is declared twice (first in line 1)"},
		"wrong rules":    {map[string]string{InstallationFile: "topics: [{name: a, writers: [x]}]\n"}, `installation.yaml:1:29: topics[0].writers: "x" is no writer`},
		"wrong paused":   {map[string]string{InstallationFile: "paused: [x]\n"}, `installation.yaml:1:10: paused[0]: "x" is not FUNCTION/TRIGGER`},
		"all of them":    {map[string]string{InstallationFile: "topic: []\n", "functions/pay/dalamb.yaml": "name: pay\n"}, "topic: unknown field (did you mean topics?)\n"},
		"and manifests":  {map[string]string{InstallationFile: "topic: []\n", "functions/pay/dalamb.yaml": "name: pay\n"}, "dalamb.yaml:1:1: entry.type: is required"},
		"no manifest":    {map[string]string{InstallationFile: "", "functions/pay/x": ""}, "the manifest cannot be read"},
		"wrong manifest": {map[string]string{InstallationFile: "", "functions/pay/dalamb.yaml": "name: pay\n"}, "functions/pay/dalamb.yaml:1:1: entry.type: is required"},
		"no code":        {map[string]string{InstallationFile: "", "functions/pay/dalamb.yaml": "name: pay\nentry: {type: stdio, command: [x]}\ncode: none\n"}, "the code of pay"},
		"image file":     {map[string]string{InstallationFile: "", "functions/pay/dalamb.yaml": "name: pay\nimage: ./x.tar\nentry: {type: http}\n"}, "push it to a registry"},
		"two of a name":  {map[string]string{InstallationFile: "", "functions/a/dalamb.yaml": fn, "functions/b/dalamb.yaml": fn}, "function pay is declared twice"},
		"two of a route": {map[string]string{InstallationFile: "", "functions/a/dalamb.yaml": fn + "triggers: [{route: {path: /x}}]\n", "functions/b/dalamb.yaml": strings.Replace(fn, "pay", "b", 1) + "triggers: [{route: {path: /x}}]\n"}, "/x"},
	} {
		dir := directory(t, c.files)
		_, err := Read(dir)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error()+fault.HintOf(err), c.words) {
			t.Errorf("%s: Read = %v (%s), want Invalid with %q", name, err, fault.HintOf(err), c.words)
		}
	}
}

func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shelf gives code from a store.
type shelf struct{ *image.Store }

func (s shelf) Code(_ context.Context, digest string) (io.ReadCloser, error) {
	dir, err := s.Dir(digest)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = image.Pack(dir, &b)
	return io.NopCloser(&b), err
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	store, err := image.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	digest, err := image.Pack(directory(t, map[string]string{"x.sh": "echo 1\n", "lib/y": "y", ".dalambignore": "none\n"}), &archive)
	if err == nil {
		_, err = store.Put(t.Context(), &archive)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &State{
		Topics:  []function.DeclaredTopic{topicOf(wire.Topic{Name: "events", Partitions: 8, Retention: "30d", MaxBytes: "10Gi"}), {Name: "orders", Partitions: 2, Retention: wire.Forever, MaxBytes: "1Gi", Compact: true, Writers: []string{"function/a"}, EventsPerSecond: 2.5, BytesPerSecond: 1 << 20}},
		Config:  map[string]string{"empty": "", "level": "info", "odd": "yes: \"no\"\n\ttab", "number": "1", "c": ""},
		Secrets: []string{"db", "s"}, Paused: []string{"full/two"},
	}
	for i, text := range manifests {
		f := Function{Alias: function.LiveAlias, Spec: parse(t, text), Code: digest}
		if f.Spec.Image != "" {
			f.Code = ""
		}
		if i == 0 {
			preview := f
			preview.Alias = "preview"
			s.Functions = append(s.Functions, preview)
		}
		s.Functions = append(s.Functions, f)
	}
	s.sort()
	dir := filepath.Join(t.TempDir(), "out")
	for round := range 2 { // into a new directory, then into its own; an export before was killed
		if err := os.MkdirAll(filepath.Join(dir, ".export-1", "functions"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Write(t.Context(), dir, s, shelf{store}); err != nil {
			t.Fatal(err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, ".export-*")); err != nil || len(left) > 0 {
			t.Errorf("left: %q, %v", left, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		read, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, prune := range []bool{false, true} {
			p, err := Compare(s, read, prune)
			if err != nil || len(p.Steps) != 0 || len(p.Notes) != 0 {
				t.Errorf("round %d: what was read differs: %v, %q", round, err, fmt.Sprint(p))
			}
		}
		if len(read.Functions) != len(s.Functions) {
			t.Errorf("%d functions are read, want %d", len(read.Functions), len(s.Functions))
		}
	}
	if err := Write(t.Context(), directory(t, map[string]string{"mine": "x"}), s, shelf{store}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Write into a directory with other things = %v, want a refusal", err)
	}
}

// What a node says its names are leads to no place outside of the directory.
func TestNamesOfANodeLeadNowhereElse(t *testing.T) {
	for _, c := range []struct{ name, alias string }{
		{"img", "x/../../../evil"},
		{"a", "../../evil"},
		{"a", ".."},
		{"a", ""},
		{"../evil", function.LiveAlias},
	} {
		above := t.TempDir()
		spec := parse(t, manifests[2]) // an image: there is no code to be had
		spec.Name = c.name
		s := &State{Functions: []Function{{Alias: c.alias, Spec: spec}}}
		if err := Write(t.Context(), filepath.Join(above, "out"), s, shelf{}); err == nil {
			t.Errorf("Write of function %q, alias %q succeeded", c.name, c.alias)
		}
		var paths []string
		_ = filepath.WalkDir(above, func(path string, _ os.DirEntry, _ error) error {
			paths = append(paths, strings.TrimPrefix(path, above))
			return nil
		})
		if !slices.Equal(paths, []string{"", "/out"}) {
			t.Errorf("Write of function %q, alias %q made %q", c.name, c.alias, paths)
		}
	}
}

// An alias may have a slash, which the name of a directory may not.
func TestAnAliasWithASlashIsWrittenAndReadAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	want := Function{Alias: "preview/feature-x", Spec: parse(t, manifests[2])}
	if err := Write(t.Context(), dir, &State{Functions: []Function{want}}, shelf{}); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Functions) != 1 || got.Functions[0].Alias != want.Alias || !same(&got.Functions[0].Spec, &want.Spec) {
		t.Errorf("Read after Write = %+v, want one function as %s", got.Functions, want.key())
	}
}

// A function whose image a build has made is as declared while its source is the same.
func TestAnImageThatWasBuiltIsCompared(t *testing.T) {
	want := Function{Alias: function.LiveAlias, Spec: parse(t, "name: pay\nentry: {type: stdio}\nbuild: {type: dockerfile}\n"), Source: "sha256:s", Build: &function.Build{Type: function.BuildDockerfile}}
	have := want
	have.Spec.Image, have.Built = "dalamb.internal/build/pay@sha256:1", &function.Built{Source: "sha256:s", How: want.Build}
	have.Spec.Entry.Command = []string{"/bin/pay"} // as the image says
	if got := functionChanges(&have, &want); got != nil {
		t.Errorf("the same differs in %q", got)
	}
	want.Source = "sha256:t"
	if got := functionChanges(&have, &want); len(got) == 0 || got[0] != "code: to be built" {
		t.Errorf("other source differs in %q", got)
	}
}
