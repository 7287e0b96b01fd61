package app

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/config"
	"github.com/dalamb/dalamb/internal/entry"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
	"github.com/dalamb/dalamb/internal/secret"
)

// keyFile is where the secrets' key is, in the data directory, where nothing else is said.
const keyFile = "secret.key"

// secretKey is where the secrets' key is, or is to be.
func secretKey(c *config.Node) string {
	if file := c.Secrets.Key; file != "" {
		return file
	}
	return filepath.Join(c.Data, keyFile)
}

// openSecrets reads the key, where there is one.
func (n *Node) openSecrets(ctx context.Context) error {
	o, err := secretOptions(n.config)
	if err != nil {
		return err
	}
	n.secrets, err = secret.Open(ctx, o)
	return err
}

// secretOptions are where the key is and what opens it. It reads the passphrase.
func secretOptions(c *config.Node) (o secret.Options, err error) {
	o = secret.Options{File: secretKey(c), KMS: strings.Fields(c.Secrets.KMS)}
	if c.Secrets.Passphrase != "" {
		if o.Passphrase, err = secret.ReadPassphrase(c.Secrets.Passphrase); err != nil {
			return o, err
		}
	}
	if len(o.KMS) == 0 {
		o.KMS = nil
	}
	return o, nil
}

// values shows fleet what versions take of the catalog.
type values struct {
	catalog *catalog.Catalog
	secrets *secret.Box
}

func (v values) Offset(version *function.Version) int64 {
	return v.catalog.View().ValuesOffset(&version.Spec)
}

func (v values) Values(version *function.Version) (out entry.Values, offset int64, err error) {
	view, spec := v.catalog.View(), &version.Spec
	if err := view.Provides(spec); err != nil {
		return out, 0, err
	}
	for _, t := range spec.Config {
		one, err := view.ConfigValue(t.Name)
		if err != nil {
			return out, 0, err
		}
		if out.Config == nil {
			out.Config = map[string]string{}
		}
		out.Config[t.Env] = one.Text
	}
	for _, t := range spec.Secrets {
		one, err := view.Secret(t.Name)
		if err != nil {
			return out, 0, err
		}
		text, err := v.secrets.Open(t.Name, *one.Sealed)
		if err != nil {
			return out, 0, err
		}
		if out.Secrets == nil {
			out.Secrets = &runner.Secrets{}
		}
		if t.Env == "" {
			out.Secrets.Files = append(out.Secrets.Files, runner.SecretFile{Name: t.FileName(), Text: text})
			continue
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return out, 0, fault.New(fault.Invalid, "secret %q holds a zero byte, and so cannot be the variable %s", t.Name, t.Env).
				WithHint("take it as a file: secrets: [{name: %s, file: %s}]", t.Name, t.Name)
		}
		out.Secrets.Env = append(out.Secrets.Env, fmt.Sprintf("%s=%s", t.Env, text))
	}
	return out, view.ValuesOffset(spec), nil
}
