package api

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/secret"
	"github.com/dalamb/dalamb/internal/wire"
)

// createAccessKey makes what AWS's tools sign requests with. Its id has the length of one of AWS's and another beginning, so that nobody takes it for one.
func (a *API) createAccessKey(ctx context.Context, name string, grant access.Grant) (any, error) {
	if err := a.checkKey(a.catalog.View()); err != nil {
		return nil, err
	}
	text := make([]byte, 30)
	rand.Read(text) // never fails: crypto/rand
	made := wire.Token{Name: name, AccessKeyID: "DLMB" + rand.Text()[:16], SecretAccessKey: base64.StdEncoding.EncodeToString(text)}
	sealed, err := a.secrets.Seal(ctx, secret.AccessKey(made.AccessKeyID), []byte(made.SecretAccessKey))
	if err != nil {
		return nil, err
	}
	key := catalog.AccessKey{Name: name, ID: made.AccessKeyID, Sealed: sealed, Created: a.now().UTC(), Grant: &grant}
	if _, err := a.catalog.Submit(ctx, catalog.AddAccessKey{Key: key}); err != nil {
		return nil, err
	}
	return made, nil
}
