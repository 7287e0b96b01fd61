package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
)

// publishRequest is AWS's PublishVersion.
type publishRequest struct {
	CodeSha256  string
	Description string
	RevisionID  string `json:"RevisionId"`
}

// publishVersion makes nothing: what live points at is a version already. AWS's makes none either where nothing has changed since the last one.
func (l *Lambda) publishVersion(c *call) (any, error) {
	var req publishRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	name, qualifier, err := c.name()
	if err != nil {
		return nil, err
	}
	if qualifier != "" {
		return nil, badValue("a version is published of $LATEST alone: FunctionName has the qualifier %q", fault.Clip(qualifier))
	}
	t, err := l.find(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	if req.RevisionID != "" && req.RevisionID != revisionOf(t.f, t.v) {
		return nil, precondition("GetFunction/GetAlias")
	}
	if sum, _ := l.sum(t); req.CodeSha256 != "" && req.CodeSha256 != sum {
		return nil, badValue("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", fault.Clip(req.CodeSha256), sum)
	}
	if err := checkDescription(req.Description); err != nil {
		return nil, err
	}
	if t.f, err = l.remember(c.ctx(), name, func(_ *catalog.Function, n *note) error {
		if req.Description != "" {
			set(&n.Versions, t.v.Number, req.Description)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	t.qualifier = fmt.Sprint(t.v.Number)
	return l.configure(t), nil
}

type versionsAnswer struct {
	Versions   []configuration
	NextMarker string `json:",omitempty"`
}

func (l *Lambda) listVersions(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	name, _, err := c.name()
	if err != nil {
		return nil, err
	}
	t, err := l.find(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	all := append([]target{t}, numbered(t.f)...)
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(a.key(), b.key()) })
	list, next := cut(p, all, target.key)
	out := versionsAnswer{Versions: []configuration{}, NextMarker: next}
	for _, one := range list {
		out.Versions = append(out.Versions, l.configure(one))
	}
	return out, nil
}
