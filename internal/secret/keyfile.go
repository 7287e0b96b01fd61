package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/dalamb/dalamb/internal/durable"
	"github.com/dalamb/dalamb/internal/fault"
)

// Options say where the key is and how it is kept. With neither Passphrase nor KMS the file holds the key as age-keygen writes it.
type Options struct {
	File       string   // of the key; made, with mode 0600, when the first secret is set
	Passphrase string   // that the file is encrypted with, as age -p does it; "" = none
	KMS        []string // a program and its arguments that wraps and unwraps what is in the file; see kms.go
	Work       int      // of scrypt, as a power of two; 0 = age's own default, about a second
}

// Form of a key file that a program has wrapped: this line, then what the program printed.
const kmsHead = "dalamb-kms-v1\n"

// maxKeyFile is far beyond any key; it keeps a wrong path from being read whole.
const maxKeyFile = 64 << 10

// load reads the key; nil when the file is not there.
func (o *Options) load(ctx context.Context) (*age.X25519Identity, error) {
	text, err := o.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := o.unwrap(ctx, text)
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(plain))
	if err == nil && len(ids) == 1 {
		if key, ok := ids[0].(*age.X25519Identity); ok {
			return key, nil
		}
	}
	// Nothing of the file is said: what was taken for something else may be a key.
	return nil, fault.New(fault.Invalid, "the key file %s does not hold one X25519 key of age", o.File).
		WithHint("age-keygen -o FILE makes such a file; dalamb makes its own when the first secret is set and the file is not there")
}

func (o *Options) read() ([]byte, error) {
	f, err := os.Open(o.File)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, fault.New(fault.Invalid, "read the secrets' key: %w", err).WithHint("check --secret-key")
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("look at key file %s: %w", o.File, err)
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "the key file %s is no file", o.File).WithHint("check --secret-key")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fault.New(fault.Denied, "others than its owner may use the key file %s: its mode is %04o", o.File, info.Mode().Perm()).
			WithHint("chmod 600 %s; if somebody else may have read it, make another key and set all secrets again", o.File)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", o.File, err)
	}
	if len(text) > maxKeyFile {
		return nil, fault.New(fault.Invalid, "the key file %s is larger than %d bytes", o.File, maxKeyFile).WithHint("check --secret-key")
	}
	return text, nil
}

// unwrap gives the key as age-keygen writes it. The form of the file and what the node was told have to agree: a key that is less
// protected than its owner thinks is not used.
func (o *Options) unwrap(ctx context.Context, text []byte) ([]byte, error) {
	kms := bytes.HasPrefix(text, []byte(kmsHead))
	encrypted := strings.HasPrefix(string(text), armor.Header)
	switch {
	case kms && o.KMS != nil:
		return o.call(ctx, "unwrap", text[len(kmsHead):])
	case kms:
		return nil, fault.New(fault.Invalid, "the key in %s is wrapped by a program", o.File).WithHint("name the program: --secret-kms, or secrets.kms")
	case o.KMS != nil:
		return nil, fault.New(fault.Invalid, "the key in %s is not wrapped by the program that --secret-kms names", o.File).
			WithHint("start without --secret-kms, or move the file away: the first secret makes a key that is wrapped")
	case encrypted && o.Passphrase != "":
		return o.decrypt(text)
	case encrypted:
		return nil, fault.New(fault.Invalid, "the key in %s is encrypted with a passphrase", o.File).
			WithHint("give the passphrase: --secret-passphrase FILE, or secrets.passphrase")
	case o.Passphrase != "":
		return nil, fault.New(fault.Invalid, "the key in %s is not encrypted, and there is a passphrase for it", o.File).
			WithHint("encrypt it: age -p -a -o NEW %s, or start without --secret-passphrase", o.File)
	}
	return text, nil
}

func (o *Options) decrypt(text []byte) ([]byte, error) {
	id, err := age.NewScryptIdentity(o.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("use the passphrase of %s: %w", o.File, err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text)), id)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the passphrase does not open the key in %s: %w", o.File, err).WithHint("check secrets.passphrase")
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, fault.New(fault.Invalid, "the key in %s cannot be decrypted: %w", o.File, err).WithHint("restore the file from a back-up")
	}
	return plain, nil
}

// create makes a key and its file. The file is whole on disk, and can be read back, before anything is encrypted for the key.
func (o *Options) create(ctx context.Context) (*age.X25519Identity, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	plain := []byte("# the key of this installation's secrets: keep a copy, apart from back-ups of the data\n# public key: " + recipient(key) + "\n" + key.String() + "\n")
	text, err := o.wrap(ctx, plain)
	if err != nil {
		return nil, err
	}
	if o.KMS != nil {
		back, err := o.unwrap(ctx, text)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(back, plain) {
			return nil, fault.New(fault.Unavailable, "%s does not give back what it has wrapped", o.KMS[0]).
				WithHint("unwrap has to print exactly what wrap was given")
		}
	}
	// An older key is never replaced.
	if err := durable.Create(o.File, text); err != nil {
		return nil, fault.New(fault.Unavailable, "write the secrets' key: %w", err).WithHint("the directory of %s has to be there and writable", o.File)
	}
	return key, nil
}

func (o *Options) wrap(ctx context.Context, plain []byte) ([]byte, error) {
	switch {
	case o.KMS != nil:
		text, err := o.call(ctx, "wrap", plain)
		return append([]byte(kmsHead), text...), err
	case o.Passphrase == "":
		return plain, nil
	}
	to, err := age.NewScryptRecipient(o.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("use the passphrase for %s: %w", o.File, err)
	}
	if o.Work > 0 {
		to.SetWorkFactor(o.Work)
	}
	var text bytes.Buffer
	outer := armor.NewWriter(&text)
	w, err := age.Encrypt(outer, to)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = errors.Join(w.Close(), outer.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt the key: %w", err)
	}
	return text.Bytes(), nil
}
