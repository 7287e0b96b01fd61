package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/secret"
	"github.com/dalamb/dalamb/internal/wire"
)

func checkValueName(what, name string) error {
	if function.ValidFull(name) {
		return nil
	}
	return fault.New(fault.Invalid, "%q is no name for a %s", name, what).
		WithHint("a lower-case letter, then letters, digits and inner hyphens, at most 63 characters")
}

func (a *API) listSecrets(*http.Request, query) (any, error) {
	view := a.catalog.View()
	list := wire.SecretList{Secrets: []wire.Secret{}, Key: a.secrets.Key()}
	for _, v := range view.Secrets() {
		list.Secrets = append(list.Secrets, a.wireSecret(view, v))
	}
	return list, nil
}

func (a *API) wireSecret(view *catalog.View, v catalog.Value) wire.Secret {
	return wire.Secret{
		Name: v.Name, Revision: v.Revision, Changed: v.Changed, Functions: orNone(view.SecretTakers(v.Name)), Hooks: orNone(view.SecretHooks(v.Name)),
		Key: v.Sealed.Key, Readable: v.Sealed.Key == a.secrets.Key(),
	}
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// setSecret takes the value as the body, so that it stands in no URL, argument or JSON that somebody may log.
func (a *API) setSecret(r *http.Request, _ query) (any, error) {
	name := r.PathValue("name")
	if err := checkValueName("secret", name); err != nil {
		return nil, err
	}
	if err := maySetSecret(r.Context(), a.catalog.View(), name); err != nil {
		return nil, err
	}
	value, err := body(r, secret.MaxValue)
	switch {
	case fault.KindOf(err) == fault.TooLarge:
		return nil, secret.TooLarge(name)
	case err != nil:
		return nil, err
	}
	if len(value) == 0 {
		return nil, fault.New(fault.Invalid, "the value of secret %q is empty", name).WithHint("to take the secret away: dalamb secret rm %s", name)
	}
	view := a.catalog.View()
	if err := checkVariable(view, name, value); err != nil {
		return nil, err
	}
	if err := a.checkKey(view); err != nil {
		return nil, err
	}
	if old, err := view.Secret(name); err == nil {
		if plain, err := a.secrets.Open(name, *old.Sealed); err == nil && bytes.Equal(plain, value) {
			return wire.SecretSet{Secret: a.wireSecret(view, old), Unchanged: true}, nil
		}
	}
	sealed, err := a.secrets.Seal(r.Context(), name, value)
	if err != nil {
		return nil, err
	}
	if view, err = a.catalog.Submit(r.Context(), catalog.SetSecret{Name: name, Sealed: sealed}); err != nil {
		return nil, err
	}
	made, err := view.Secret(name)
	if err != nil {
		return nil, err // removed again at once by somebody else
	}
	return wire.SecretSet{Secret: a.wireSecret(view, made), Warnings: a.keyWarnings(view)}, nil
}

// checkVariable refuses a value that a function takes as a variable and that cannot be one: its instances would not start.
func checkVariable(view *catalog.View, name string, value []byte) error {
	if bytes.IndexByte(value, 0) < 0 {
		return nil
	}
	for _, v := range view.Wanted() {
		for _, t := range v.Spec.Secrets {
			if t.Name == name && t.Env != "" {
				return fault.New(fault.Invalid, "the value of secret %q holds a zero byte, and function %q takes it as the variable %s", name, v.Function(), t.Env).
					WithHint("deploy the function with it as a file first: secrets: [{name: %s, file: %s}]", name, name)
			}
		}
	}
	return nil
}

// checkKey refuses to let a node that has no key make one where others have: each would read its own secrets alone.
func (a *API) checkKey(view *catalog.View) error {
	there := view.Secrets()
	if a.secrets.Key() != "" || len(there) == 0 {
		return nil
	}
	return fault.New(fault.Unavailable, "this node has no key, and the secrets that there are, are encrypted for %s", there[0].Sealed.Key).
		WithHint("copy the key file of a node that has it, and start this node again; if it is lost, make another with age-keygen, and set all secrets again")
}

// keyWarnings tell of secrets that this node cannot read.
func (a *API) keyWarnings(view *catalog.View) []string {
	var others []string
	for _, v := range view.Secrets() {
		if v.Sealed.Key != a.secrets.Key() {
			others = append(others, v.Name)
		}
	}
	if others == nil {
		return nil
	}
	return []string{fmt.Sprintf("this node cannot read %s, encrypted for another key: functions that take them do not start here; set them again, or give all nodes one key", strings.Join(others, ", "))}
}

func (a *API) removeSecret(r *http.Request, _ query) (any, error) {
	name := r.PathValue("name")
	if err := maySetSecret(r.Context(), a.catalog.View(), name); err != nil {
		return nil, err
	}
	_, err := a.catalog.Submit(r.Context(), catalog.RemoveSecret{Name: name})
	return nil, err
}

func (a *API) listConfig(*http.Request, query) (any, error) {
	view := a.catalog.View()
	list := wire.ConfigList{Config: []wire.ConfigValue{}}
	for _, v := range view.Config() {
		list.Config = append(list.Config, wireConfig(view, v))
	}
	return list, nil
}

func wireConfig(view *catalog.View, v catalog.Value) wire.ConfigValue {
	return wire.ConfigValue{Name: v.Name, Value: v.Text, Revision: v.Revision, Changed: v.Changed, Functions: orNone(view.ConfigTakers(v.Name))}
}

func (a *API) setConfig(r *http.Request, _ query) (any, error) {
	name := r.PathValue("name")
	if err := checkValueName("configuration value", name); err != nil {
		return nil, err
	}
	if err := maySet(r.Context(), name, a.catalog.View().ConfigTakers(name), nil); err != nil {
		return nil, err
	}
	var req wire.ConfigChange
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	switch {
	case len(req.Value) > function.MaxConfigValue:
		return nil, fault.New(fault.TooLarge, "configuration value %q has more than %d bytes", name, function.MaxConfigValue).WithHint("put what is larger into the code")
	case strings.Contains(req.Value, "\x00") || !utf8.ValidString(req.Value):
		return nil, fault.New(fault.Invalid, "configuration value %q is no text", name).WithHint("a variable holds UTF-8 without zero bytes")
	}
	view := a.catalog.View()
	if old, err := view.ConfigValue(name); err == nil && old.Text == req.Value {
		return wire.ConfigSet{ConfigValue: wireConfig(view, old), Unchanged: true}, nil
	}
	view, err := a.catalog.Submit(r.Context(), catalog.SetConfig{Name: name, Value: req.Value})
	if err != nil {
		return nil, err
	}
	made, err := view.ConfigValue(name)
	if err != nil {
		return nil, err // removed again at once by somebody else
	}
	return wire.ConfigSet{ConfigValue: wireConfig(view, made)}, nil
}

func (a *API) removeConfig(r *http.Request, _ query) (any, error) {
	name := r.PathValue("name")
	if err := maySet(r.Context(), name, a.catalog.View().ConfigTakers(name), nil); err != nil {
		return nil, err
	}
	_, err := a.catalog.Submit(r.Context(), catalog.RemoveConfig{Name: name})
	return nil, err
}

// valueRoutes are those of secrets and configuration values.
func (a *API) valueRoutes() []route {
	return []route{
		{Method: "GET", Path: "/v1/secrets", Name: "listSecrets", Summary: "The secrets that functions can take. What their values are, nobody can be told.", Answer: wire.SecretList{}, serve: a.listSecrets},
		{Method: "PUT", Path: "/v1/secrets/{name}", Name: "setSecret", Summary: "Give a secret a value: the body, at most 64 KiB. It is kept encrypted, and the instances of functions that take it are replaced.",
			BodyType: "application/octet-stream", Answer: wire.SecretSet{}, Also: []int{409, 413, 429}, serve: a.setSecret},
		{Method: "DELETE", Path: "/v1/secrets/{name}", Name: "removeSecret", Summary: "Take a secret away. Not while a function takes it.", Status: http.StatusNoContent, Also: []int{409}, serve: a.removeSecret},

		{Method: "GET", Path: "/v1/config", Name: "listConfig", Summary: "The configuration values that functions can take.", Answer: wire.ConfigList{}, serve: a.listConfig},
		{Method: "PUT", Path: "/v1/config/{name}", Name: "setConfig", Summary: "Give a configuration value a value. The instances of functions that take it are replaced.",
			Body: wire.ConfigChange{}, Answer: wire.ConfigSet{}, Also: []int{409, 413, 429}, serve: a.setConfig},
		{Method: "DELETE", Path: "/v1/config/{name}", Name: "removeConfig", Summary: "Take a configuration value away. Not while a function takes it.", Status: http.StatusNoContent, Also: []int{409}, serve: a.removeConfig},
	}
}

// checkValues refuses a function that takes what is not there, or in a way that its runner cannot give.
func (a *API) checkValues(ctx context.Context, spec *function.Spec) error {
	if err := a.catalog.View().Provides(spec); err != nil {
		return err
	}
	runner, err := a.fence(ctx, spec)
	if err != nil {
		return err
	}
	for _, s := range spec.Secrets {
		if s.FileName() != "" && !runner.Isolated {
			return fault.New(fault.Unavailable, "function %q takes secret %q as a file, which the runner %s cannot give", spec.Name, s.Name, runner.Name).
				WithHint("take it as a variable (env), or use a runner that has file systems of its own")
		}
	}
	return nil
}
