package function

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What AWS's own names of things are here: functions are told them, and its API answers with them.
const (
	AWSRegion  = "us-east-1"
	AWSAccount = "000000000000"
)

// ARN is AWS's name of a function; qualifier is a version or an alias, "" = none.
func ARN(region, name, qualifier string) string {
	arn := "arn:aws:lambda:" + region + ":" + AWSAccount + ":function:" + name
	if qualifier != "" {
		arn += ":" + qualifier
	}
	return arn
}

// ParseARN takes a name, name:qualifier, a partial or a whole ARN.
func ParseARN(s string) (name, qualifier string) {
	if i := strings.LastIndex(s, "function:"); i == 0 || i > 0 && s[i-1] == ':' {
		s = s[i+len("function:"):]
	}
	name, qualifier, _ = strings.Cut(s, ":")
	return name, qualifier
}

// RuleARN is AWS's name of a rule of EventBridge; bus is "" for the default one.
func RuleARN(region, bus, name string) string {
	if bus != "" {
		name = bus + "/" + name
	}
	return "arn:aws:events:" + region + ":" + AWSAccount + ":rule/" + name
}

// maxAWSRule bounds the name of a rule. Amazon EventBridge API reference, Target: Arn.
const maxAWSRule = 1600

func (c *checker) rule(at string, t *Trigger) {
	if t.Rule == "" {
		return
	}
	if !strings.HasPrefix(t.Rule, "arn:aws:events:") || len(t.Rule) > maxAWSRule || strings.ContainsFunc(t.Rule, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.add(at+".rule", "remove it: AWS's EventBridge API sets it", "%q is not the ARN of a rule", clip(t.Rule))
	}
}

// AWS is what AWS's API was told of a function and tells again. Of all this only Handler and Runtime reach the function, as the variables _HANDLER and
// AWS_EXECUTION_ENV: what starts it is its entry.
type AWS struct {
	Runtime     string `json:"runtime,omitempty"`
	Handler     string `json:"handler,omitempty"`
	Role        string `json:"role,omitempty"`
	Description string `json:"description,omitempty"`
}

// AWS Lambda API reference, CreateFunction: the bounds of Handler, Role and Description.
const (
	maxAWSHandler     = 128
	maxAWSRole        = 2048
	maxAWSRuntime     = 64
	maxAWSDescription = 256
)

func awsMember() member[Declared] {
	return field("aws", "What AWS's Lambda API tells of the function, see docs/aws.md. Default: what can be told from entry.", pointer(object(nil,
		field("runtime", "The runtime's name, such as python3.13; AWS_EXECUTION_ENV is AWS_Lambda_ and this. Default: provided.al2023.", text[string](), func(a *AWS) *string { return &a.Runtime }),
		field("handler", "The variable _HANDLER. Default: the last word of entry.command.", text[string](), func(a *AWS) *string { return &a.Handler }),
		field("role", "An ARN that is told and means nothing here.", text[string](), func(a *AWS) *string { return &a.Role }),
		field("description", "What the function is for.", text[string](), func(a *AWS) *string { return &a.Description }),
	), none[AWS]), func(d *Declared) **AWS { return &d.Spec.AWS })
}

func (c *checker) aws(a *AWS) {
	if a == nil {
		return
	}
	for _, f := range []struct {
		name, text string
		most       int
	}{
		{"aws.runtime", a.Runtime, maxAWSRuntime}, {"aws.handler", a.Handler, maxAWSHandler},
		{"aws.role", a.Role, maxAWSRole}, {"aws.description", a.Description, maxAWSDescription},
	} {
		if utf8.RuneCountInString(f.text) > f.most {
			c.add(f.name, "", "has more than %d characters", f.most)
		}
		if !utf8.ValidString(f.text) || strings.ContainsFunc(f.text, unicode.IsControl) {
			c.add(f.name, "", "is not one line of text")
		}
	}
}
