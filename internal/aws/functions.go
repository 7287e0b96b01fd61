package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// createRequest is AWS's CreateFunction.
type createRequest struct {
	FunctionName  string
	PackageType   string
	Code          codeRequest
	Publish       bool
	Architectures []string
	Tags          map[string]string
	settings
}

// codeRequest says where code is. AWS Lambda API reference, FunctionCode.
type codeRequest struct {
	ZipFile         []byte // base64 in JSON
	ImageURI        string `json:"ImageUri"`
	S3Bucket        string
	S3Key           string
	S3ObjectVersion string
	SourceKMSKeyArn string
}

func (c *codeRequest) check(architectures []string) error {
	switch {
	case c.S3Bucket != "" || c.S3Key != "" || c.S3ObjectVersion != "" || c.SourceKMSKeyArn != "":
		return badValue("S3Bucket: there is no S3 here").WithHint("send the archive itself: ZipFile (aws lambda ... --zip-file fileb://FILE)")
	case c.ImageURI == "" && len(c.ZipFile) == 0:
		return badValue("Please provide a source for function code.").WithHint("ZipFile or ImageUri")
	case c.ImageURI != "" && len(c.ZipFile) > 0:
		return badValue("Please do not provide other FunctionCode parameters when providing an ImageUri.")
	}
	return checkArchitectures(architectures)
}

func checkArchitectures(asked []string) error {
	for _, a := range asked {
		if a != architecture() {
			return badValue("Architectures: %q is not this node's, which is %s", fault.Clip(a), architecture())
		}
	}
	return nil
}

func (l *Lambda) createFunction(c *call) (any, error) {
	var req createRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	name, _ := function.ParseARN(req.FunctionName)
	if err := checkFunctionName(name); err != nil {
		return nil, err
	}
	if _, err := l.view(c.ctx()).Function(name); err == nil {
		return nil, fault.New(fault.Conflict, "Function already exist: %s", name)
	}
	if err := req.Code.check(req.Architectures); err != nil {
		return nil, err
	}
	if err := req.settings.check(); err != nil {
		return nil, err
	}
	if err := checkTags(req.Tags); err != nil {
		return nil, err
	}
	image := req.Code.ImageURI != ""
	switch {
	case req.PackageType != "" && req.PackageType != "Zip" && req.PackageType != "Image":
		return nil, badValue("PackageType: %q is neither Zip nor Image", fault.Clip(req.PackageType))
	case image != (req.PackageType == "Image"):
		return nil, badValue("PackageType: an ImageUri goes with Image, a ZipFile with Zip")
	}
	spec, err := newSpec(name, req.Code.ImageURI)
	if err != nil {
		return nil, err
	}
	if !image && (req.Runtime == nil || req.Handler == nil) {
		return nil, badValue("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	none := int64(-1)
	return l.tell(l.deploy(c, deployment{
		req: wire.DeployRequest{Spec: *spec, Expects: &none}, settings: &req.settings, archive: req.Code.ZipFile, publish: req.Publish, tags: req.Tags,
	}))
}

func checkFunctionName(name string) error {
	if err := function.CheckName(function.Plain(function.Environment(name), name)); err != nil {
		return badValue("FunctionName: %w", err).WithHint("%s", fault.HintOf(err))
	}
	return nil
}

// newSpec has the manifest's defaults, and AWS's where those are others.
func newSpec(name, image string) (*function.Spec, error) {
	plain := function.Plain(function.Environment(name), name)
	text := fmt.Sprintf("{name: %s, entry: {type: lambda, command: [./bootstrap]}, timeout: 3s, resources: {tmp: 512Mi}}", plain)
	if image != "" {
		text = fmt.Sprintf("{name: %s, image: %q, entry: {type: lambda}, timeout: 3s, resources: {tmp: 512Mi}}", plain, image)
	}
	m, err := function.ParseManifest("request", []byte(text))
	if err != nil {
		return nil, badValue("ImageUri: %w", err)
	}
	spec := &m.Functions[0].Spec
	spec.Name = name
	return spec, nil
}

// deployment is a deploy that is being made.
type deployment struct {
	req      wire.DeployRequest
	settings *settings // nil = they stay
	archive  []byte    // nil = the code stays
	publish  bool
	tags     map[string]string
}

// tell answers with what was deployed.
func (l *Lambda) tell(t target, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return l.configure(t), nil
}

// deploy makes a version, which live may point at only after a roll-out, and returns it; of a dry run $LATEST.
func (l *Lambda) deploy(c *call, d deployment) (target, error) {
	var sent unpacked
	if d.archive != nil {
		var err error
		if sent, err = l.unpack(d.archive); err != nil {
			return target{}, err
		}
		defer sent.remove()
	}
	if d.settings != nil {
		if err := l.apply(d.settings, &d.req.Spec, sent.dir); err != nil {
			return target{}, err
		}
	}
	if sent.dir != "" {
		program := ""
		if d.req.Spec.Entry.Type == function.EntryLambda && len(d.req.Spec.Entry.Command) > 0 && strings.HasPrefix(d.req.Spec.Entry.Command[0], "./") {
			program = d.req.Spec.Entry.Command[0]
		}
		var err error
		if d.req.Code, err = l.store(c.ctx(), sent, program); err != nil {
			return target{}, err
		}
	}
	done, err := l.o.Control.Deploy(c.ctx(), d.req)
	if err != nil {
		return target{}, err
	}
	if d.req.DryRun {
		return l.find(c.ctx(), d.req.Spec.Name, "")
	}
	f, err := l.remember(c.ctx(), done.Function, func(_ *catalog.Function, n *note) error {
		if sent.dir != "" {
			set(&n.Archives, d.req.Code, sent.upload)
		}
		for k, v := range d.tags {
			set(&n.Tags, k, v)
		}
		return nil
	})
	if err != nil {
		return target{}, err
	}
	t := target{f: f, v: versionOf(f, done.Version)}
	if t.v == nil {
		return target{}, l.notFound(done.Function, "", nil) // removed again at once by somebody else
	}
	if d.publish {
		t.qualifier = fmt.Sprint(done.Version)
	}
	return t, nil
}

// getAnswer is AWS's GetFunction.
type getAnswer struct {
	Configuration configuration
	Code          codeLocation
	Tags          map[string]string `json:",omitempty"`
	Concurrency   *concurrency      `json:",omitempty"`
}

type codeLocation struct {
	RepositoryType   string
	Location         string `json:",omitempty"`
	ImageURI         string `json:"ImageUri,omitempty"`
	ResolvedImageURI string `json:"ResolvedImageUri,omitempty"`
}

func (l *Lambda) getFunction(c *call) (any, error) {
	t, err := l.target(c)
	if err != nil {
		return nil, err
	}
	out := getAnswer{Configuration: l.configure(t), Tags: noteOf(t.f).Tags, Concurrency: reservedOf(t.v)}
	if v := t.v; v.Spec.Image != "" {
		out.Code = codeLocation{RepositoryType: "ECR", ImageURI: v.Spec.Image, ResolvedImageURI: v.Spec.Image}
		if v.Image != nil {
			repository, _, _ := strings.Cut(v.Image.Reference, "@")
			out.Code.ResolvedImageURI = cmp.Or(repository, v.Spec.Image) + "@" + v.Image.Digest
		}
	} else {
		out.Code = codeLocation{RepositoryType: "S3", Location: l.link(c.r, v.Code)}
	}
	return out, nil
}

func (l *Lambda) getConfiguration(c *call) (any, error) {
	t, err := l.target(c)
	if err != nil {
		return nil, err
	}
	return l.configure(t), nil
}

type functionsAnswer struct {
	Functions  []configuration
	NextMarker string `json:",omitempty"`
}

func (l *Lambda) listFunctions(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	var all []target
	for _, f := range l.view(c.ctx()).Functions() {
		all = append(all, target{f: f, v: latest(f)})
		switch which := c.q.Get("FunctionVersion"); which {
		case "":
		case "ALL":
			all = append(all, numbered(f)...)
		default:
			return nil, badValue("FunctionVersion: %q is not ALL", fault.Clip(which))
		}
	}
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.key(), b.key()) })
	list, next := cut(p, all, target.key)
	out := functionsAnswer{Functions: []configuration{}, NextMarker: next}
	for _, t := range list {
		out.Functions = append(out.Functions, l.configure(t))
	}
	return out, nil
}

// numbered are the versions of a function, the oldest first.
func numbered(f *catalog.Function) []target {
	var all []target
	for _, v := range f.Versions {
		all = append(all, target{f: f, v: v, qualifier: fmt.Sprint(v.Number)})
	}
	return all
}

// key orders the versions of all functions; $LATEST is the first of each.
func (t target) key() string {
	if t.qualifier == "" {
		return t.f.Name + " "
	}
	return fmt.Sprintf("%s %012d", t.f.Name, t.v.Number)
}

func (l *Lambda) deleteFunction(c *call) (any, error) {
	name, qualifier, err := c.name()
	if err != nil {
		return nil, err
	}
	f, err := l.function(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	number, isNumber := numberOf(qualifier)
	switch {
	case isNumber:
		if versionOf(f, number) == nil {
			return nil, nil // AWS says nothing of one that is not there
		}
		return nil, l.o.Control.RemoveVersion(c.ctx(), name, number)
	case qualifier != "":
		return nil, badValue("Deletion of aliases is not currently supported.").WithHint("DeleteAlias takes the alias %q away", fault.Clip(qualifier))
	case c.latest():
		return nil, badValue("$LATEST version cannot be deleted without deleting the function.")
	}
	_, err = l.o.Control.Remove(c.ctx(), name)
	return nil, err
}
