package aws

import (
	"strings"
	"unicode/utf8"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// AWS Lambda developer guide, "Using tags on Lambda functions": restrictions.
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return badValue("Tags: there are %d of them, more than %d", len(tags), maxTags)
	}
	for key, value := range tags {
		if n := utf8.RuneCountInString(key); n < 1 || n > maxTagKey || utf8.RuneCountInString(value) > maxTagValue || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return badValue("Tags: %q is no tag of 1 to %d characters that does not begin with aws:, with a value of at most %d", fault.Clip(key), maxTagKey, maxTagValue)
		}
	}
	return nil
}

type tags struct{ Tags map[string]string }

// tagged is the function whose ARN a path names.
func (l *Lambda) tagged(c *call) (*catalog.Function, error) {
	arn := c.r.PathValue("resource")
	name, qualifier := function.ParseARN(arn)
	if !strings.HasPrefix(arn, "arn:") || qualifier != "" {
		return nil, badValue("Resource: %q is not the ARN of a function without a qualifier", fault.Clip(arn))
	}
	return l.function(c.ctx(), name, "")
}

func (l *Lambda) listTags(c *call) (any, error) {
	f, err := l.tagged(c)
	if err != nil {
		return nil, err
	}
	out := noteOf(f).Tags
	if out == nil {
		out = map[string]string{}
	}
	return tags{out}, nil
}

func (l *Lambda) tagResource(c *call) (any, error) {
	var req tags
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return l.retag(c, func(n *note) error {
		for key, value := range req.Tags {
			set(&n.Tags, key, value)
		}
		return checkTags(n.Tags)
	})
}

func (l *Lambda) untagResource(c *call) (any, error) {
	keys := c.q["tagKeys"]
	if len(keys) == 0 {
		return nil, badValue("tagKeys: none is named")
	}
	return l.retag(c, func(n *note) error {
		for _, key := range keys {
			delete(n.Tags, key)
		}
		return nil
	})
}

func (l *Lambda) retag(c *call, edit func(*note) error) (any, error) {
	f, err := l.tagged(c)
	if err != nil {
		return nil, err
	}
	_, err = l.remember(c.ctx(), f.Name, func(_ *catalog.Function, n *note) error { return edit(n) })
	return nil, err
}
