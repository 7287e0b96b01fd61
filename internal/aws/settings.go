package aws

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/function"
)

// settings are what CreateFunction and UpdateFunctionConfiguration both take. What is absent stays as it is.
type settings struct {
	Runtime          *string
	Role             *string
	Handler          *string
	Description      *string
	Timeout          *int
	MemorySize       *int
	Environment      *environment
	EphemeralStorage *storage
	ImageConfig      *imageConfig

	// Of these AWS's defaults alone are taken.
	VpcConfig            *vpc
	DeadLetterConfig     *deadLetter
	KMSKeyArn            string
	TracingConfig        *tracing
	Layers               []string
	FileSystemConfigs    []any
	SnapStart            *snapStart
	LoggingConfig        *loggingRequest
	CodeSigningConfigArn string
}

type (
	vpc struct {
		SubnetIds, SecurityGroupIds []string
		Ipv6AllowedForDualStack     bool
	}
	deadLetter     struct{ TargetArn string }
	snapStart      struct{ ApplyOn string }
	loggingRequest struct{ LogFormat, ApplicationLogLevel, SystemLogLevel, LogGroup string }
)

// check refuses what is not there, with what there is instead.
func (s *settings) check() error {
	switch {
	case s.VpcConfig != nil && len(s.VpcConfig.SubnetIds)+len(s.VpcConfig.SecurityGroupIds) > 0:
		return badValue("VpcConfig: there are no VPCs here").WithHint("the manifest's network and allow say what a function may reach")
	case s.DeadLetterConfig != nil && s.DeadLetterConfig.TargetArn != "":
		return badValue("DeadLetterConfig: there are no queues of AWS's here").WithHint("calls that fail become dead letters of dalamb (dalamb dlq); the manifest's async.onFailure sends them on")
	case s.KMSKeyArn != "":
		return badValue("KMSKeyArn: there are no keys of AWS's here").WithHint("dalamb secret set keeps what nobody shall read")
	case s.TracingConfig != nil && s.TracingConfig.Mode != "" && s.TracingConfig.Mode != "PassThrough":
		return badValue("TracingConfig: the Mode %q is not there; PassThrough is", s.TracingConfig.Mode)
	case len(s.Layers) > 0:
		return badValue("Layers: there are no layers here").WithHint("what a layer holds goes into the directory opt of the archive, which is shown at /opt")
	case len(s.FileSystemConfigs) > 0:
		return badValue("FileSystemConfigs: there are no file systems of AWS's here")
	case s.SnapStart != nil && s.SnapStart.ApplyOn != "" && s.SnapStart.ApplyOn != "None":
		return badValue("SnapStart: there are no snapshots here").WithHint("the manifest's scale.min keeps instances ready")
	case s.LoggingConfig != nil && (s.LoggingConfig.LogGroup != "" || s.LoggingConfig.LogFormat != "" && s.LoggingConfig.LogFormat != "Text"):
		return badValue("LoggingConfig: LogFormat Text alone is there, and no groups").WithHint("dalamb logs shows what functions print")
	case s.CodeSigningConfigArn != "":
		return badValue("CodeSigningConfigArn: there is no code signing of AWS's here")
	case s.Timeout != nil && (*s.Timeout < 1 || *s.Timeout > 900):
		return badValue("Value '%d' at 'timeout' failed to satisfy constraint: from 1 to 900 seconds", *s.Timeout)
	case s.MemorySize != nil && (*s.MemorySize < 4 || *s.MemorySize > 1<<20):
		return badValue("Value '%d' at 'memorySize' failed to satisfy constraint: from 4 MB on", *s.MemorySize)
	case s.EphemeralStorage != nil && (s.EphemeralStorage.Size < 1 || s.EphemeralStorage.Size > 10240):
		return badValue("Value '%d' at 'ephemeralStorage.size' failed to satisfy constraint: from 1 to 10240 MB", s.EphemeralStorage.Size)
	case s.ImageConfig != nil && s.ImageConfig.WorkingDirectory != "":
		return badValue("ImageConfig.WorkingDirectory: an image says its own")
	case s.ImageConfig != nil && len(s.ImageConfig.Command) > 0 && len(s.ImageConfig.EntryPoint) == 0:
		return badValue("ImageConfig.Command: it goes with an EntryPoint, both replace what the image says").WithHint("name the image's own ENTRYPOINT as EntryPoint")
	}
	return nil
}

// checkDescription holds those to their bound that are kept beside a function. AWS Lambda API reference, Description.
func checkDescription(text string) error {
	if utf8.RuneCountInString(text) > 256 {
		return badValue("Description: it has more than 256 characters")
	}
	return nil
}

// apply changes a Spec, which is the caller's own copy. code is the directory of the code where that is new, "" = it is not.
func (l *Lambda) apply(s *settings, spec *function.Spec, code string) error {
	told := function.AWS{}
	if spec.AWS != nil {
		told = *spec.AWS
	}
	for _, f := range []struct {
		from *string
		to   *string
	}{{s.Role, &told.Role}, {s.Description, &told.Description}, {s.Runtime, &told.Runtime}, {s.Handler, &told.Handler}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if told != (function.AWS{}) {
		spec.AWS = &told
	}
	if s.Timeout != nil {
		spec.Timeout = function.Duration(time.Duration(*s.Timeout) * time.Second)
	}
	if s.MemorySize != nil {
		spec.Resources.Memory = function.Bytes(*s.MemorySize) << 20
	}
	if s.EphemeralStorage != nil {
		spec.Resources.Tmp = function.Bytes(s.EphemeralStorage.Size) << 20
	}
	if s.Environment != nil {
		spec.Env = s.Environment.Variables
		if len(spec.Env) == 0 {
			spec.Env = nil
		}
	}
	if spec.Image != "" {
		if s.Runtime != nil || s.Handler != nil {
			return badValue("Runtime and Handler are of functions with PackageType Zip; %s is an image", spec.Name)
		}
		if s.ImageConfig != nil {
			spec.Entry.Command = slices.Concat(s.ImageConfig.EntryPoint, s.ImageConfig.Command)
		}
		return nil
	}
	if s.ImageConfig != nil {
		return badValue("ImageConfig is of functions with PackageType Image; %s has an archive", spec.Name)
	}
	if s.Runtime != nil || s.Handler != nil {
		command, base, err := l.command(told.Runtime, told.Handler, code)
		if err != nil {
			return err
		}
		spec.Entry.Type, spec.Entry.Command = function.EntryLambda, command
		if base != "" || spec.ImageRef() != "" {
			spec.Base = cmp.Or(base, function.BaseHost)
		}
	}
	return nil
}
