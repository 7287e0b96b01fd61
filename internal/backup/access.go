package backup

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/dalamb/dalamb/internal/fault"
)

// Access says how a bucket is reached. There is no key in it: keys are found where AWS's own tools find them.
type Access struct {
	Endpoint    string // URL of the store; "" = Amazon S3
	Region      string // "" = asked for at Amazon S3, elsewhere us-east-1
	Addressing  string // path, host, or "": host at Amazon S3, elsewhere path
	Credentials string // a file with keys in AWS's form; "" = the usual places
	Profile     string // in that file, or in the usual ones; "" = default
	Authority   string // a file with certificates that are believed of the store, beside the system's; "" = none
	FromEnv     bool   // AWS_ACCESS_KEY_ID is set: the keys are there
	NoInstance  bool   // the machine is not asked for the keys of its role
}

const (
	amazon       = "https://s3.amazonaws.com"
	lockLease    = time.Minute
	firstTries   = 3 // of the first question, so that a store that is not there is told of within seconds
	laterTries   = 10
	askInstance  = 5 * time.Second
	otherRegions = "us-east-1" // what stores elsewhere go by, unless they are told another name
)

// openBucket finds keys, and asks the store something: what cannot work is known before anything else is done.
func openBucket(ctx context.Context, p Place) (*bucket, error) {
	name, prefix, err := parseBucket(p.Name)
	if err != nil {
		return nil, err
	}
	a := p.Access
	at, err := a.endpoint()
	if err != nil {
		return nil, err
	}
	keys, err := a.keys(ctx)
	if err != nil {
		return nil, err
	}
	way, err := transport(a.Authority)
	if err != nil {
		return nil, err
	}
	o := minio.Options{Creds: keys, Secure: at.Scheme == "https", Transport: way, Region: a.Region, MaxRetries: firstTries}
	if o.Region == "" && a.Endpoint != "" {
		o.Region = otherRegions
	}
	switch a.Addressing {
	case "":
	case "path":
		o.BucketLookup = minio.BucketLookupPath
	case "host":
		o.BucketLookup = minio.BucketLookupDNS
	default:
		return nil, fault.New(fault.Invalid, "%q is no way to address a bucket", fault.Clip(a.Addressing)).WithHint("path: HOST/BUCKET; host: BUCKET.HOST")
	}
	b := &bucket{endpoint: at.String(), name: name, prefix: prefix, lease: lockLease}
	for _, tries := range []int{firstTries, laterTries} {
		o.MaxRetries = tries
		core, err := minio.NewCore(at.Host, &o)
		if err != nil {
			return nil, fmt.Errorf("prepare requests to %s: %w", b.endpoint, err)
		}
		if b.store = *core; tries == firstTries {
			if _, err := b.empty(ctx); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// endpoint is the URL of the store, which has a scheme and a host alone.
func (a *Access) endpoint() (*url.URL, error) {
	text := a.Endpoint
	if text == "" {
		text = amazon
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.New(fault.Invalid, "the endpoint is no URL of a store").
			WithHint("write https://HOST or https://HOST:PORT; http:// goes without encryption, and keys are no part of it") // it is not shown: there may be a key in it
	}
	u.Path = ""
	return u, nil
}

// keys finds out where the keys are, and that they are there. Nothing that a file says gets into an error: what was taken for something else may be a key.
func (a *Access) keys(ctx context.Context) (*credentials.Credentials, error) {
	file := &credentials.FileAWSCredentials{Filename: a.Credentials, Profile: a.Profile}
	if a.Credentials != "" {
		info, err := os.Stat(a.Credentials)
		if err != nil {
			return nil, fault.New(fault.Invalid, "read the keys of the store: %w", err).WithHint("check --credentials")
		}
		if info.Mode().Perm()&0o037 != 0 { // a group may read it: so it looks where systemd lets a service read a credential
			return nil, fault.New(fault.Denied, "others than its owner and its group may use the keys in %s: its mode is %04o", a.Credentials, info.Mode().Perm()).WithHint("chmod 600 %s", a.Credentials)
		}
		return found(ctx, file, a.Credentials)
	}
	if a.FromEnv {
		return found(ctx, &credentials.EnvAWS{}, "the environment")
	}
	c, err := found(ctx, file, "the environment, or in the files of AWS's tools")
	if err == nil || a.Profile != "" || a.NoInstance {
		return c, err
	}
	return found(ctx, &credentials.IAM{Client: &http.Client{Timeout: askInstance}}, "the environment, in the files of AWS's tools, or in the machine's role")
}

// found tries one place where keys may be.
func found(ctx context.Context, p credentials.Provider, where string) (*credentials.Credentials, error) {
	c := credentials.New(p)
	v, err := c.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: askInstance}, Context: ctx})
	if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
		return c, nil
	}
	return nil, fault.New(fault.Invalid, "there are no keys for the store in %s: no access key with its secret key can be read there", where).
		WithHint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or name a file with them by --credentials; docs/backup.md")
}
