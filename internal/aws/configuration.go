package aws

import (
	"encoding/base64"
	"encoding/hex"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/function"
)

// timeForm is that of LastModified. AWS Lambda API reference, FunctionConfiguration.
const timeForm = "2006-01-02T15:04:05.000-0700"

// configuration is AWS's FunctionConfiguration.
type configuration struct {
	FunctionName        string
	FunctionArn         string
	Runtime             string `json:",omitempty"`
	Role                string
	Handler             string `json:",omitempty"`
	CodeSize            int64
	Description         string
	Timeout             int // seconds
	MemorySize          int // MiB
	LastModified        string
	CodeSha256          string
	Version             string
	Environment         *environment   `json:",omitempty"`
	TracingConfig       tracing        // always PassThrough
	RevisionID          string         `json:"RevisionId"`
	State               string         // always Active: what is not ready is not deployed
	LastUpdateStatus    string         // Successful, InProgress or Failed: how the roll-out goes
	LastUpdateReason    string         `json:"LastUpdateStatusReason,omitempty"`
	LastUpdateCode      string         `json:"LastUpdateStatusReasonCode,omitempty"`
	PackageType         string         // Zip or Image
	ImageConfigResponse *imageResponse `json:",omitempty"`
	Architectures       []string
	EphemeralStorage    storage
	LoggingConfig       logging
}

type (
	environment struct{ Variables map[string]string }
	tracing     struct{ Mode string }
	storage     struct{ Size int } // MiB
	logging     struct{ LogFormat, LogGroup string }

	imageResponse struct{ ImageConfig imageConfig }
	imageConfig   struct {
		EntryPoint       []string `json:",omitempty"`
		Command          []string `json:",omitempty"`
		WorkingDirectory string   `json:",omitempty"`
	}
)

// configure is what AWS's API tells of a version.
func (l *Lambda) configure(t target) configuration {
	s := &t.v.Spec
	c := configuration{
		FunctionName: t.f.Name, FunctionArn: function.ARN(l.o.Region, t.f.Name, t.qualifier),
		Timeout: wholeUnits(int64(s.Timeout), int64(time.Second)), MemorySize: wholeUnits(int64(s.Resources.Memory), 1<<20),
		LastModified: t.v.Created.UTC().Format(timeForm), Version: latestName,
		TracingConfig: tracing{"PassThrough"}, RevisionID: revisionOf(t.f, t.v), State: "Active", LastUpdateStatus: "Successful",
		PackageType: "Zip", Architectures: []string{architecture()}, EphemeralStorage: storage{wholeUnits(int64(s.Resources.Tmp), 1<<20)},
		LoggingConfig: logging{"Text", "/aws/lambda/" + t.f.Name},
	}
	if t.qualifier != "" {
		c.Version = strconv.Itoa(t.v.Number)
	}
	if len(s.Env) > 0 {
		c.Environment = &environment{s.Env}
	}
	if told := s.AWS; told != nil {
		c.Role, c.Description, c.Runtime, c.Handler = told.Role, told.Description, told.Runtime, told.Handler
	}
	if text, ok := noteOf(t.f).Versions[t.v.Number]; ok && t.qualifier != "" {
		c.Description = text
	}
	switch {
	case s.Image != "":
		c.PackageType, c.Runtime, c.Handler = "Image", "", ""
		if own := t.v.Declared().Entry.Command; len(own) > 0 {
			c.ImageConfigResponse = &imageResponse{imageConfig{EntryPoint: own}}
		}
	case c.Runtime == "":
		c.Runtime = providedRuntime
	}
	if c.Handler == "" && s.Image == "" && len(s.Entry.Command) > 0 {
		c.Handler = strings.TrimPrefix(s.Entry.Command[len(s.Entry.Command)-1], "./")
	}
	c.CodeSha256, c.CodeSize = l.sum(t)
	if t.qualifier == "" {
		c.update(t.f)
	}
	return c
}

// sum is the archive's that the code came as; where that is not known, the digest of the code stands for it.
func (l *Lambda) sum(t target) (text string, size int64) {
	digest := t.v.Code
	if t.v.Image != nil && t.v.Spec.Image != "" {
		return strings.TrimPrefix(t.v.Image.Digest, "sha256:"), 0 // AWS tells it in hex, too
	}
	if have, ok := noteOf(t.f).Archives[digest]; ok {
		return have.Sum, have.Size
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil {
		return "", 0
	}
	if n, err := l.o.Code.Size(digest); err == nil { // else it is on another node
		size = n
	}
	return base64.StdEncoding.EncodeToString(raw), size
}

// update tells of the roll-out to live what AWS tells of an update.
func (c *configuration) update(f *catalog.Function) {
	underWay, last := rolling(f)
	switch {
	case underWay != nil:
		c.LastUpdateStatus, c.LastUpdateReason, c.LastUpdateCode = "InProgress", "version "+strconv.Itoa(underWay.To)+" is being rolled out", "Creating"
	case last != nil && last.State == function.RolloutFailed && last.Ended != nil:
		c.LastUpdateStatus, c.LastUpdateReason, c.LastUpdateCode = "Failed", "version "+strconv.Itoa(last.To)+" was rolled back: "+last.Ended.Reason, "FunctionError"
	}
}

func revisionOf(f *catalog.Function, v *function.Version) string {
	return revision("version\x00", f.Name, "\x00", f.Created, "\x00", v.Number, v.Digest)
}

// wholeUnits is n in units, rounded up.
func wholeUnits(n, unit int64) int { return int((n + unit - 1) / unit) }

// architecture is AWS's name of this machine's: all functions of a node have it.
func architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}
