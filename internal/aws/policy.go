package aws

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Permissions are kept and told again. They forbid nothing, because on AWS they do not either: what they allow is allowed here to every access key.

// permissionRequest is AWS's AddPermission.
type permissionRequest struct {
	StatementID           string `json:"StatementId"`
	Action                string
	Principal             string
	SourceArn             string
	SourceAccount         string
	EventSourceToken      string
	PrincipalOrgID        string
	FunctionURLAuthType   string `json:"FunctionUrlAuthType"`
	InvokedViaFunctionURL *bool  `json:"InvokedViaFunctionUrl"`
	RevisionID            string `json:"RevisionId"`
}

// statement is one of a policy. AWS Identity and Access Management user guide, "IAM JSON policy elements reference".
type statement struct {
	Sid       string
	Effect    string
	Principal any // "*", or {"Service": ...} or {"AWS": ...}
	Action    string
	Resource  string
	Condition map[string]map[string]string `json:",omitempty"`
}

type policy struct {
	Version   string
	ID        string `json:"Id"`
	Statement []statement
}

var (
	validStatement = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,100}$`)
	validAction    = regexp.MustCompile(`^lambda:([a-zA-Z]+|\*)$`)
	validService   = regexp.MustCompile(`^[a-z0-9.-]+\.amazonaws\.com$`)
)

func (l *Lambda) addPermission(c *call) (any, error) {
	var req permissionRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	switch {
	case !validStatement.MatchString(req.StatementID):
		return nil, badValue("StatementId: %q is not 1 to 100 letters, digits, dashes and underscores", fault.Clip(req.StatementID))
	case !validAction.MatchString(req.Action):
		return nil, badValue("Action: %q is none, such as lambda:InvokeFunction", fault.Clip(req.Action))
	case req.Principal == "" || len(req.Principal) > 256:
		return nil, badValue("Principal: it is not 1 to 256 characters")
	}
	t, err := l.target(c)
	if err != nil {
		return nil, err
	}
	one := req.statement(function.ARN(l.o.Region, t.f.Name, t.qualifier))
	_, err = l.remember(c.ctx(), t.f.Name, func(_ *catalog.Function, n *note) error {
		have := n.Policies[t.qualifier]
		if req.RevisionID != "" && req.RevisionID != policyRevision(t, have) {
			return precondition("GetPolicy")
		}
		if slices.ContainsFunc(have, func(s statement) bool { return s.Sid == one.Sid }) {
			return fault.New(fault.Conflict, "The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", one.Sid)
		}
		set(&n.Policies, t.qualifier, append(slices.Clone(have), one))
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(one)
	if err != nil {
		return nil, fmt.Errorf("encode the statement: %w", err)
	}
	return struct{ Statement string }{string(text)}, nil
}

func (req *permissionRequest) statement(resource string) statement {
	s := statement{Sid: req.StatementID, Effect: "Allow", Action: req.Action, Resource: resource, Principal: map[string]string{"AWS": req.Principal}}
	switch {
	case req.Principal == "*":
		s.Principal = "*"
	case validService.MatchString(req.Principal):
		s.Principal = map[string]string{"Service": req.Principal}
	}
	on := func(test, key, value string) {
		if value == "" {
			return
		}
		if s.Condition == nil {
			s.Condition = map[string]map[string]string{}
		}
		if s.Condition[test] == nil {
			s.Condition[test] = map[string]string{}
		}
		s.Condition[test][key] = value
	}
	on("ArnLike", "AWS:SourceArn", req.SourceArn)
	on("StringEquals", "AWS:SourceAccount", req.SourceAccount)
	on("StringEquals", "lambda:EventSourceToken", req.EventSourceToken)
	on("StringEquals", "aws:PrincipalOrgID", req.PrincipalOrgID)
	on("StringEquals", "lambda:FunctionUrlAuthType", req.FunctionURLAuthType)
	if req.InvokedViaFunctionURL != nil {
		on("Bool", "lambda:InvokedViaFunctionUrl", fmt.Sprint(*req.InvokedViaFunctionURL))
	}
	return s
}

func policyRevision(t target, statements []statement) string {
	return revision("policy\x00", t.f.Name, "\x00", t.f.Created, "\x00", t.qualifier, "\x00", fmt.Sprint(statements))
}

func (l *Lambda) removePermission(c *call) (any, error) {
	t, err := l.target(c)
	if err != nil {
		return nil, err
	}
	sid := c.r.PathValue("statementId")
	_, err = l.remember(c.ctx(), t.f.Name, func(_ *catalog.Function, n *note) error {
		have := n.Policies[t.qualifier]
		if id := c.q.Get("RevisionId"); id != "" && id != policyRevision(t, have) {
			return precondition("GetPolicy")
		}
		left := slices.DeleteFunc(slices.Clone(have), func(s statement) bool { return s.Sid == sid })
		if len(left) == len(have) {
			return fault.New(fault.NotFound, "Statement %s is not found in resource policy.", fault.Clip(sid))
		}
		set(&n.Policies, t.qualifier, left)
		return nil
	})
	return nil, err
}

func (l *Lambda) getPolicy(c *call) (any, error) {
	t, err := l.target(c)
	if err != nil {
		return nil, err
	}
	statements := noteOf(t.f).Policies[t.qualifier]
	if len(statements) == 0 {
		return nil, fault.New(fault.NotFound, "The resource you requested does not exist.")
	}
	text, err := json.Marshal(policy{"2012-10-17", "default", statements})
	if err != nil {
		return nil, fmt.Errorf("encode the policy: %w", err)
	}
	return struct {
		Policy     string
		RevisionID string `json:"RevisionId"`
	}{string(text), policyRevision(t, statements)}, nil
}
