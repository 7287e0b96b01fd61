package aws

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// provisioned is how many instances are kept ready for a version or an alias, in a note: versions do not change.
type provisioned struct {
	Instances int       `json:"instances"`
	Since     time.Time `json:"since"`
}

// Provisioned is how many instances each node keeps ready of a function's versions, by their numbers, beside what their manifests say.
func Provisioned(f *catalog.Function) map[int]int {
	all := map[int]int{}
	for qualifier, p := range noteOf(f).Provisioned {
		for number, instances := range p.versions(f, qualifier) {
			all[number] = max(all[number], instances)
		}
	}
	return all
}

// versions are those that a qualifier of f means. Those of an alias get their share of it, one at the least; what is not there gets none.
func (p provisioned) versions(f *catalog.Function, qualifier string) map[int]int {
	all := map[int]int{}
	if number, isNumber := numberOf(qualifier); isNumber {
		all[number] = p.Instances
	} else if alias, there := f.Aliases[qualifier]; there {
		for _, number := range alias.Versions() {
			all[number] = wholeUnits(int64(p.Instances*alias.Share(number)), 100)
		}
	}
	maps.DeleteFunc(all, func(number, instances int) bool { return instances == 0 || versionOf(f, number) == nil })
	return all
}

// provisionedAnswer is AWS's ProvisionedConcurrencyConfigListItem, and without its ARN what Put and Get answer.
type provisionedAnswer struct {
	FunctionArn string `json:",omitempty"`
	Requested   int    `json:"RequestedProvisionedConcurrentExecutions"`
	Available   int    `json:"AvailableProvisionedConcurrentExecutions"`
	Allocated   int    `json:"AllocatedProvisionedConcurrentExecutions"`
	Status      string // READY, IN_PROGRESS or FAILED
	Reason      string `json:"StatusReason,omitempty"`
	Modified    string `json:"LastModified"`
}

// provisionedTime is the form of LastModified. AWS Lambda API reference, GetProvisionedConcurrencyConfig.
const provisionedTime = "2006-01-02T15:04:05-0700"

// provision tells how far this node is.
func (l *Lambda) provision(f *catalog.Function, qualifier string, p provisioned) provisionedAnswer {
	out := provisionedAnswer{Requested: p.Instances, Status: "READY", Modified: p.Since.UTC().Format(provisionedTime)}
	wanted := p.versions(f, qualifier)
	for _, number := range slices.Sorted(maps.Keys(wanted)) {
		ready, trouble := l.o.Warm(f.Name, number)
		out.Available += min(ready, wanted[number])
		switch {
		case ready >= wanted[number]:
		case trouble != "":
			out.Status, out.Reason = "FAILED", cmp.Or(out.Reason, trouble)
		case out.Status == "READY":
			out.Status = "IN_PROGRESS"
		}
	}
	out.Available = min(out.Available, out.Requested) // shares are rounded up
	out.Allocated = out.Available
	return out
}

// published is what a request's qualifier names: a version or an alias.
func (l *Lambda) published(c *call) (f *catalog.Function, qualifier string, err error) {
	name, qualifier, err := c.name()
	switch {
	case err != nil:
		return nil, "", err
	case c.latest():
		return nil, "", badValue("Provisioned Concurrency Configs cannot be applied to unpublished function versions.").
			WithHint("the alias %s is what $LATEST points at", function.LiveAlias)
	case qualifier == "":
		return nil, "", badValue("Qualifier: it is not there; it names a version or an alias")
	}
	t, err := l.find(c.ctx(), name, qualifier)
	return t.f, qualifier, err
}

func (l *Lambda) putProvisioned(c *call) (any, error) {
	var req struct {
		Instances *int `json:"ProvisionedConcurrentExecutions"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	f, qualifier, err := l.published(c)
	if err != nil {
		return nil, err
	}
	if req.Instances == nil || *req.Instances < 1 {
		return nil, badValue("ProvisionedConcurrentExecutions: it is a number from 1 on")
	}
	p := provisioned{Instances: *req.Instances, Since: l.o.Now()}
	f, err = l.remember(c.ctx(), f.Name, func(f *catalog.Function, n *note) error {
		if err := l.mayProvision(f, qualifier, p); err != nil {
			return err
		}
		if was, there := n.Provisioned[qualifier]; !there || was.Instances != p.Instances {
			set(&n.Provisioned, qualifier, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.provision(f, qualifier, noteOf(f).Provisioned[qualifier]), nil
}

// mayProvision refuses what could never be ready, and what is provisioned by another name already.
func (l *Lambda) mayProvision(f *catalog.Function, qualifier string, p provisioned) error {
	wanted := p.versions(f, qualifier)
	for number, instances := range wanted {
		spec := &versionOf(f, number).Spec
		switch {
		case spec.Entry.Once():
			return badValue("version %d of %s has no instances to keep ready: it is started for each call", number, f.Name)
		case instances > spec.Scale.Max:
			return badValue("Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function").
				WithHint("version %d of %s has at most %d instances on a node: PutFunctionConcurrency, or the manifest's scale.max, raises that", number, f.Name, spec.Scale.Max)
		}
	}
	if most := l.o.Instances(); p.Instances > most {
		return badValue("ProvisionedConcurrentExecutions: %d are more than the %d instances that a node may have", p.Instances, most)
	}
	_, isNumber := numberOf(qualifier)
	for other, was := range noteOf(f).Provisioned {
		if other == qualifier {
			continue
		}
		_, otherIsNumber := numberOf(other)
		for number := range was.versions(f, other) {
			switch {
			case wanted[number] == 0:
			case isNumber:
				return fault.New(fault.Conflict, "Version is pointed by a Provisioned Concurrency alias").WithHint("the alias %s has it", other)
			case otherIsNumber:
				return fault.New(fault.Conflict, "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version").WithHint("version %s has it", other)
			}
		}
	}
	return nil
}

func (l *Lambda) getProvisioned(c *call) (any, error) {
	if c.q.Get("List") == "ALL" {
		return l.listProvisioned(c)
	}
	f, qualifier, err := l.published(c)
	if err != nil {
		return nil, err
	}
	p, there := noteOf(f).Provisioned[qualifier]
	if !there {
		return nil, &refusal{http.StatusNotFound, "ProvisionedConcurrencyConfigNotFoundException", fault.New(fault.NotFound, "No Provisioned Concurrency Config found for this function")}
	}
	return l.provision(f, qualifier, p), nil
}

type provisionedList struct {
	ProvisionedConcurrencyConfigs []provisionedAnswer
	NextMarker                    string `json:",omitempty"`
}

func (l *Lambda) listProvisioned(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	name, err := c.changeable()
	if err != nil {
		return nil, err
	}
	f, err := l.function(c.ctx(), name, "")
	if err != nil {
		return nil, err
	}
	all := noteOf(f).Provisioned
	list, next := cut(p, slices.Sorted(maps.Keys(all)), func(qualifier string) string { return qualifier })
	out := provisionedList{ProvisionedConcurrencyConfigs: []provisionedAnswer{}, NextMarker: next}
	for _, qualifier := range list {
		one := l.provision(f, qualifier, all[qualifier])
		one.FunctionArn = function.ARN(l.o.Region, f.Name, qualifier)
		out.ProvisionedConcurrencyConfigs = append(out.ProvisionedConcurrencyConfigs, one)
	}
	return out, nil
}

func (l *Lambda) deleteProvisioned(c *call) (any, error) {
	f, qualifier, err := l.published(c)
	if err != nil {
		return nil, err
	}
	_, err = l.remember(c.ctx(), f.Name, func(_ *catalog.Function, n *note) error {
		delete(n.Provisioned, qualifier)
		return nil
	})
	return nil, err
}
