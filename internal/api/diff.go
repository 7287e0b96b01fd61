package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/image"
	"github.com/dalamb/dalamb/internal/replay"
	"github.com/dalamb/dalamb/internal/wire"
)

// maxFiles is how many files a diff lists.
const maxFiles = 500

const (
	added   = "added"
	removed = "removed"
	changed = "changed"
)

func (a *API) diffVersions(r *http.Request, q query) (any, error) {
	fn := r.PathValue("name")
	var vs [2]*function.Version
	for i, name := range []string{"from", "to"} {
		n, err := q.number(name, 0, 1, math.MaxInt32)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.New(fault.Invalid, "%s: it has to be a version's number", name).WithHint("dalamb versions %s lists them", fn)
		}
		if vs[i], err = a.catalog.View().VersionNumber(fn, int(n)); err != nil {
			return nil, err
		}
	}
	return a.diff(vs[0], vs[1])
}

func (a *API) diff(from, to *function.Version) (wire.VersionDiff, error) {
	out := wire.VersionDiff{Function: from.Function(), From: from.Number, To: to.Number, Files: []wire.FileDiff{}, Triggers: []wire.TriggerDiff{}}
	before, err := settingsOf(from)
	if err != nil {
		return out, err
	}
	after, err := settingsOf(to)
	if err != nil {
		return out, err
	}
	out.Settings = replay.Objects(before.rest, after.rest)
	out.Env = diffEnv(from.Spec.Env, to.Spec.Env)
	for _, name := range union(before.triggers, after.triggers) {
		b, was := before.triggers[name]
		n, is := after.triggers[name]
		switch changes := replay.Objects(b, n); {
		case !was:
			out.Triggers = append(out.Triggers, wire.TriggerDiff{Name: name, State: added})
		case !is:
			out.Triggers = append(out.Triggers, wire.TriggerDiff{Name: name, State: removed})
		case len(changes) > 0:
			out.Triggers = append(out.Triggers, wire.TriggerDiff{Name: name, State: changed, Changes: changes})
		}
	}
	a.diffFiles(from, to, &out)
	return out, nil
}

// parts are a version as JSON: its triggers by name, and what is neither these nor the environment.
type parts struct {
	rest     map[string]any
	triggers map[string]map[string]any
}

func settingsOf(v *function.Version) (parts, error) {
	b, err := json.Marshal(v.Spec)
	if err != nil {
		return parts{}, fmt.Errorf("encode version %d: %w", v.Number, err)
	}
	p := parts{triggers: map[string]map[string]any{}}
	if err := json.Unmarshal(b, &p.rest); err != nil {
		return parts{}, fmt.Errorf("decode version %d: %w", v.Number, err)
	}
	list, _ := p.rest["triggers"].([]any)
	for _, t := range list {
		if m, ok := t.(map[string]any); ok {
			name, _ := m["name"].(string)
			p.triggers[name] = m
		}
	}
	delete(p.rest, "triggers")
	delete(p.rest, "env")
	if v.Code != "" {
		p.rest["code"] = v.Code
	}
	if v.Image != nil {
		p.rest["imageDigest"] = v.Image.Digest
	}
	return p, nil
}

func union[V any](a, b map[string]V) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}

// What looks like a secret, by the variable's name or by a password in a URL, is not shown: people paste what a diff says.
var (
	secretName  = regexp.MustCompile(`(?i)secret|token|passw|passphrase|pwd|private|credential|auth|signature|dsn|api_?key|(^|_)key($|_)|cert`)
	secretValue = regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@|-----BEGIN `)
)

const hidden = "(hidden)"

func diffEnv(before, after map[string]string) []wire.EnvDiff {
	out := []wire.EnvDiff{}
	for _, name := range union(before, after) {
		b, was := before[name]
		a, is := after[name]
		if was == is && b == a {
			continue
		}
		d := wire.EnvDiff{Name: name, Hidden: secretName.MatchString(name) || secretValue.MatchString(b) || secretValue.MatchString(a)}
		if d.Hidden {
			b, a = hidden, hidden
		}
		if was {
			d.Before = &b
		}
		if is {
			d.After = &a
		}
		out = append(out, d)
	}
	return out
}

func (a *API) diffFiles(from, to *function.Version, out *wire.VersionDiff) {
	if from.Code == to.Code {
		return
	}
	var dirs [2]string
	for i, v := range []*function.Version{from, to} {
		if v.Code == "" {
			out.FilesError = fmt.Sprintf("version %d is an image without code", v.Number)
			return
		}
		dir, err := a.code.Dir(v.Code)
		if err != nil {
			out.FilesError = fmt.Sprintf("version %d: %v", v.Number, err)
			return
		}
		dirs[i] = dir
	}
	list, err := image.Compare(dirs[0], dirs[1])
	if err != nil {
		out.FilesError = err.Error()
		return
	}
	for _, d := range list[:min(len(list), maxFiles)] {
		f := wire.FileDiff{Path: d.Path, State: changed, Before: sideOf(d.Before), After: sideOf(d.After)}
		switch {
		case d.Before == nil:
			f.State = added
		case d.After == nil:
			f.State = removed
		}
		out.Files = append(out.Files, f)
	}
	out.MoreFiles = len(list) - len(out.Files)
}

func sideOf(s *image.Side) *wire.FileSide {
	if s == nil {
		return nil
	}
	return &wire.FileSide{Bytes: s.Bytes, Mode: s.Mode, Link: s.Link}
}
