package aws

import (
	"maps"
	"slices"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// updateCodeRequest is AWS's UpdateFunctionCode.
type updateCodeRequest struct {
	codeRequest
	Architectures []string
	Publish       bool
	DryRun        bool
	RevisionID    string `json:"RevisionId"`
}

func (l *Lambda) updateCode(c *call) (any, error) {
	var req updateCodeRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(req.Architectures); err != nil {
		return nil, err
	}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	return l.tell(l.update(c, wanted{name, req.RevisionID}, func(t target) (deployment, error) {
		d := deployment{req: onTop(t), archive: req.ZipFile, publish: req.Publish}
		d.req.DryRun = req.DryRun
		switch isImage := t.v.Spec.Image != ""; {
		case isImage != (req.ImageURI != ""):
			return d, badValue("UpdateFunctionCode cannot make a function with PackageType Image of one with Zip, or the other way round")
		case isImage:
			d.req.Spec.Image = req.ImageURI
		}
		return d, nil
	}))
}

// updateConfigurationRequest is AWS's UpdateFunctionConfiguration.
type updateConfigurationRequest struct {
	settings
	RevisionID string `json:"RevisionId"`
}

func (l *Lambda) updateConfiguration(c *call) (any, error) {
	var req updateConfigurationRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	return l.tell(l.update(c, wanted{name, req.RevisionID}, func(t target) (deployment, error) {
		return deployment{req: onTop(t), settings: &req.settings}, nil
	}))
}

// changeable is the function that a request would change, which no qualifier names.
func (c *call) changeable() (string, error) {
	name, qualifier, err := c.name()
	if err == nil && qualifier != "" {
		err = badValue("versions do not change: FunctionName has the qualifier %q", fault.Clip(qualifier))
	}
	return name, err
}

// respec deploys a version whose Spec, a copy, edit has changed, and returns it: live still points at another one where it is rolled out. What edit
// leaves as it is makes none.
func (l *Lambda) respec(c *call, name string, edit func(*function.Spec) error) (target, error) {
	return l.update(c, wanted{name: name}, func(t target) (deployment, error) {
		d := deployment{req: onTop(t)}
		return d, edit(&d.req.Spec)
	})
}

// wanted is what is to be updated: a function, where revision is not empty of that revision alone.
type wanted struct{ name, revision string }

// update deploys what edit makes of $LATEST, again of a newer one where somebody else's change came first.
func (l *Lambda) update(c *call, w wanted, edit func(target) (deployment, error)) (target, error) {
	name, revision := w.name, w.revision
	for left := tries; ; left-- {
		t, err := l.find(c.ctx(), name, "")
		if err != nil {
			return target{}, err
		}
		if revision != "" && revision != revisionOf(t.f, t.v) {
			return target{}, precondition("GetFunction/GetAlias")
		}
		if underWay, _ := rolling(t.f); underWay != nil {
			return target{}, fault.New(fault.Conflict, "The operation cannot be performed at this time. An update is in progress for resource: %s", function.ARN(l.o.Region, name, "")).
				WithHint("dalamb rollout show %s tells how far it is", name)
		}
		d, err := edit(t)
		if err != nil {
			return target{}, err
		}
		done, err := l.deploy(c, d)
		if fault.KindOf(err) != fault.Conflict || left == 1 || unchanged(l, t) {
			return done, err
		}
	}
}

// unchanged says whether a conflict was about something else than the function's having been changed.
func unchanged(l *Lambda, t target) bool {
	f, err := l.o.Catalog.View().Function(t.f.Name)
	return err == nil && f.Last == t.f.Last
}

// onTop asks for a version like another, for live. What the other's image gave it, the new one's gives again.
func onTop(t target) wire.DeployRequest {
	spec := t.v.Declared()
	spec.Env, spec.Entry.Command, spec.Triggers = maps.Clone(spec.Env), slices.Clone(spec.Entry.Command), slices.Clone(spec.Triggers)
	last := t.f.Last
	return wire.DeployRequest{Spec: spec, Code: t.v.Code, Alias: function.LiveAlias, Expects: &last, Rules: true}
}
