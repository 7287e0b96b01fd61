package cli

import (
	"cmp"

	"github.com/spf13/pflag"

	"github.com/dalamb/dalamb/internal/backup"
)

// place are the flags that say where backups are.
type place struct{ name, endpoint, region, addressing, credentials string }

func (p *place) flags(f *pflag.FlagSet, name, help string) {
	f.StringVar(&p.name, name, "", help+": a directory, or s3://BUCKET/PREFIX")
	f.StringVar(&p.endpoint, "endpoint", "", "`URL` of the store of a bucket (default: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else Amazon S3)")
	f.StringVar(&p.region, "region", "", "the region of a bucket (default: AWS_REGION, AWS_DEFAULT_REGION, else asked for at Amazon S3, elsewhere us-east-1)")
	f.StringVar(&p.addressing, "addressing", "", "path: HOST/BUCKET, or host: BUCKET.HOST (default: host at Amazon S3, path elsewhere)")
	f.StringVar(&p.credentials, "credentials", "", "a `file` with the keys of the store, as AWS's tools keep them; its mode is 0600")
}

// of is the place, with what AWS's own variables say where no flag does.
func (p *place) of(e *environment) backup.Place {
	return backup.Place{Name: p.name, Access: backup.Access{
		Endpoint:    cmp.Or(p.endpoint, e.get("AWS_ENDPOINT_URL_S3"), e.get("AWS_ENDPOINT_URL")),
		Region:      cmp.Or(p.region, e.get("AWS_REGION"), e.get("AWS_DEFAULT_REGION")),
		Addressing:  p.addressing,
		Credentials: p.credentials,
		Profile:     e.get("AWS_PROFILE"),
		Authority:   e.get("AWS_CA_BUNDLE"),
		FromEnv:     e.get("AWS_ACCESS_KEY_ID") != "",
		NoInstance:  e.get("AWS_EC2_METADATA_DISABLED") == "true",
	}}
}
