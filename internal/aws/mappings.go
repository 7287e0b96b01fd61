package aws

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/access"
	"github.com/dalamb/dalamb/internal/catalog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// mapping is AWS's EventSourceMappingConfiguration: a trigger on a topic of the node's own log.
type mapping struct {
	UUID                           string
	EventSourceMappingArn          string
	FunctionArn                    string
	State                          string // Creating, Enabled, Updating, Disabled, Deleting
	StateTransitionReason          string
	LastModified                   float64 // seconds since 1970
	Topics                         []string
	SelfManagedEventSource         eventSource
	StartingPosition               string
	StartingPositionTimestamp      *float64 `json:",omitempty"` // seconds since 1970
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	BisectBatchOnFunctionError     bool
	MaximumRetryAttempts           int
	MaximumRecordAgeInSeconds      int
	DestinationConfig              struct{ OnFailure destination }
	FilterCriteria                 *filterCriteria `json:",omitempty"`
	ScalingConfig                  *scaling        `json:",omitempty"`
	FunctionResponseTypes          []string        `json:",omitempty"`
}

type (
	eventSource struct{ Endpoints map[string][]string }
	scaling     struct{ MaximumConcurrency int }
)

const (
	bootstrapServers = "KAFKA_BOOTSTRAP_SERVERS"
	ownLog           = "dalamb" // host that stands for the node's log, whatever that is
	batchFailures    = "ReportBatchItemFailures"
)

func (l *Lambda) check(ctx context.Context, req *mappingRequest) error {
	switch {
	case req.EventSourceArn != "":
		return badValue("EventSourceArn: there are no sources of AWS's here").WithHint("SelfManagedEventSource and Topics name a topic of the node's log")
	case len(req.SourceAccessConfigurations) > 0:
		return badValue("SourceAccessConfigurations: the node has its own access to its log")
	case len(req.Queues) > 0:
		return badValue("Queues: there are none here")
	case req.BatchSize != nil && (*req.BatchSize < 1 || *req.BatchSize > 10000):
		return badValue("BatchSize: %d is not from 1 to 10000", *req.BatchSize)
	case req.MaximumBatchingWindowInSeconds != nil && (*req.MaximumBatchingWindowInSeconds < 0 || *req.MaximumBatchingWindowInSeconds > 300):
		return badValue("MaximumBatchingWindowInSeconds: %d is not from 0 to 300", *req.MaximumBatchingWindowInSeconds)
	case req.MaximumRetryAttempts != nil && (*req.MaximumRetryAttempts < 0 || *req.MaximumRetryAttempts > 999):
		return badValue("MaximumRetryAttempts: %d is not from 0 to 999; there is no retrying for ever", *req.MaximumRetryAttempts)
	case req.MaximumRecordAgeInSeconds != nil && (*req.MaximumRecordAgeInSeconds < 60 || *req.MaximumRecordAgeInSeconds > 604800):
		return badValue("MaximumRecordAgeInSeconds: %d is not from 60 to 604800", *req.MaximumRecordAgeInSeconds)
	case req.ScalingConfig != nil && (req.ScalingConfig.MaximumConcurrency < 1 || req.ScalingConfig.MaximumConcurrency > 10000):
		return badValue("ScalingConfig.MaximumConcurrency: %d is not from 1 to 10000", req.ScalingConfig.MaximumConcurrency)
	case len(req.FunctionResponseTypes) > 0 && !slices.Equal(req.FunctionResponseTypes, []string{batchFailures}):
		return badValue("FunctionResponseTypes: %s alone is there", batchFailures)
	case req.DestinationConfig != nil && req.DestinationConfig.OnSuccess != nil && req.DestinationConfig.OnSuccess.Destination != "":
		return badValue("DestinationConfig.OnSuccess: AWS has it for asynchronous calls alone").WithHint("the manifest's onSuccess of a trigger sends outcomes on")
	}
	if req.SelfManagedEventSource == nil {
		return nil
	}
	for _, server := range req.SelfManagedEventSource.Endpoints[bootstrapServers] {
		host, _, err := net.SplitHostPort(server)
		if err != nil || host != ownLog && !slices.Contains(l.brokers(ctx), server) {
			return badValue("SelfManagedEventSource: %q is no broker of the node's log", fault.Clip(server)).
				WithHint("%s:9092 stands for the node's log, whatever that is; dalamb copy brings topics of another log", ownLog)
		}
	}
	return nil
}

func (l *Lambda) createMapping(c *call) (any, error) {
	var req mappingRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := l.check(c.ctx(), &req); err != nil {
		return nil, err
	}
	if len(req.Topics) != 1 {
		return nil, badValue("Topics: %d are named, and a mapping has one", len(req.Topics))
	}
	begin, err := req.start()
	if err != nil {
		return nil, err
	}
	name, qualifier := function.ParseARN(req.FunctionName)
	if qualifier != "" && qualifier != function.LiveAlias {
		return nil, badValue("FunctionName: triggers are of the alias %s, and not of %q", function.LiveAlias, fault.Clip(qualifier))
	}
	if req.Enabled != nil && !*req.Enabled {
		if err := mayPause(c, name); err != nil {
			return nil, err
		}
	}
	made := function.NewTrigger()
	random := make([]byte, 6)
	rand.Read(random) // never fails: crypto/rand
	made.Name, made.Topic, made.Start, made.Payload = "mapping-"+hex.EncodeToString(random), req.Topics[0], begin, function.PayloadKafka
	made.Batch = &function.Batch{Size: 100, Bytes: 4 << 20, OnError: function.OnErrorBisect}
	if err := req.trigger(&made); err != nil {
		return nil, err
	}
	t, err := l.respec(c, name, func(s *function.Spec) error {
		for i := range s.Triggers {
			if isMapping(&s.Triggers[i]) && s.Triggers[i].Topic == made.Topic {
				return fault.New(fault.Conflict, "An event source mapping with topic (%q) and function (%q) already exists. Please update or delete the existing mapping with UUID %s",
					made.Topic, name, mappingID(name, s.Triggers[i].Name))
			}
		}
		if s.Rollout != nil && req.Enabled != nil && !*req.Enabled {
			return badValue("Enabled: what is rolled out begins enabled, and %s has a rollout", name).WithHint("create it enabled, and disable it when the roll-out is over")
		}
		s.Triggers = append(slices.Clone(s.Triggers), made)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.enable(c, t, made.Name, req.Enabled)
}

// mayPause refuses to pause a mapping, or to let it go on, to whom may only deploy. It is asked before anything is deployed, so that what is refused has
// changed nothing.
func mayPause(c *call, fn string) error { return access.From(c.ctx()).Over(access.Operate, fn) }

// enable lets a mapping's trigger run, or wait, and tells of it as the version has it that was deployed for it.
func (l *Lambda) enable(c *call, t target, trigger string, enabled *bool) (any, error) {
	f, err := l.function(c.ctx(), t.f.Name, "")
	if err != nil {
		return nil, err // removed again at once by somebody else
	}
	if enabled != nil && slices.ContainsFunc(f.Triggers, func(t *catalog.Trigger) bool { return t.Name == trigger && t.Paused == *enabled }) {
		if err := mayPause(c, f.Name); err != nil {
			return nil, err // it was paused, or let go on, since that was asked
		}
		view, err := l.o.Catalog.Submit(c.ctx(), catalog.Pause{Function: f.Name, Trigger: trigger, Paused: !*enabled})
		if err != nil {
			return nil, err
		}
		if f, err = view.Function(f.Name); err != nil {
			return nil, err
		}
	}
	for _, have := range mappingsOf(f) {
		if have.Name != trigger {
			continue
		}
		out := l.mappingOf(c.ctx(), f, have)
		if declared := triggerOf(&t.v.Spec, trigger); declared != nil && latest(f).Number != t.v.Number && out.State != stateCreating {
			next := *have
			next.Trigger = *declared
			out = l.mappingOf(c.ctx(), f, &next)
			out.State = "Updating"
		}
		return out, nil
	}
	return nil, noMapping() // removed, or rolled back, at once
}

func noMapping() error {
	return fault.New(fault.NotFound, "The resource you requested does not exist.")
}

// stateCreating is that of a mapping which comes with a version that is being rolled out: live does not point at it yet.
const stateCreating = "Creating"

// mappingsOf are those of a function, the ones that are being created behind the ones that are there.
func mappingsOf(f *catalog.Function) []*catalog.Trigger {
	var list []*catalog.Trigger
	for _, t := range f.Triggers {
		if isMapping(&t.Trigger) {
			list = append(list, t)
		}
	}
	underWay, _ := rolling(f)
	if underWay == nil {
		return list
	}
	if v := versionOf(f, underWay.To); v != nil {
		for _, t := range v.Spec.Triggers {
			if isMapping(&t) && !isThere(f, t.Name) {
				list = append(list, &catalog.Trigger{Function: f.Name, Trigger: t, Began: v.Created})
			}
		}
	}
	return list
}

func isThere(f *catalog.Function, trigger string) bool {
	return slices.ContainsFunc(f.Triggers, func(t *catalog.Trigger) bool { return t.Name == trigger })
}

// isMapping says whether a trigger is what AWS calls an event source mapping.
func isMapping(t *function.Trigger) bool {
	return t.Route == nil && t.Schedule == "" && t.Topic != "" && t.Name != function.InvokeTrigger
}

// mappingID is the same for a trigger at all times and on all nodes.
func mappingID(fn, trigger string) string { return revision("mapping\x00", fn, "\x00", trigger) }

func (l *Lambda) mappingOf(ctx context.Context, f *catalog.Function, t *catalog.Trigger) mapping {
	servers := l.brokers(ctx)
	if len(servers) == 0 {
		servers = []string{ownLog + ":9092"}
	}
	id := mappingID(f.Name, t.Name)
	m := mapping{
		UUID: id, EventSourceMappingArn: fmt.Sprintf("arn:aws:lambda:%s:%s:event-source-mapping:%s", l.o.Region, function.AWSAccount, id), FunctionArn: function.ARN(l.o.Region, f.Name, ""),
		State: "Enabled", StateTransitionReason: "USER_INITIATED", LastModified: float64(t.Began.UnixMilli()) / 1000, Topics: []string{t.Topic},
		SelfManagedEventSource: eventSource{map[string][]string{bootstrapServers: servers}}, StartingPosition: "LATEST", BatchSize: 1,
		MaximumRetryAttempts: t.Retry.Attempts - 1, MaximumRecordAgeInSeconds: wholeUnits(int64(t.Retry.MaxAge), int64(time.Second)), FilterCriteria: criteriaOf(t.Filter),
	}
	switch {
	case !isThere(f, t.Name):
		m.State = stateCreating
	case t.Paused:
		m.State = "Disabled"
	}
	switch declared := t.Trigger.Start; declared {
	case "", function.StartLatest, function.StartGroup:
	case function.StartEarliest:
		m.StartingPosition = "TRIM_HORIZON"
	default:
		m.StartingPosition = "AT_TIMESTAMP"
		if at, err := time.Parse(time.RFC3339, string(declared)); err == nil {
			unix := float64(at.Unix())
			m.StartingPositionTimestamp = &unix
		}
	}
	if b := t.Batch; b != nil {
		m.BatchSize, m.MaximumBatchingWindowInSeconds, m.BisectBatchOnFunctionError = b.Size, wholeUnits(int64(b.Window), int64(time.Second)), b.OnError == function.OnErrorBisect
	}
	if t.Payload == function.PayloadKafka {
		m.FunctionResponseTypes = []string{batchFailures}
	}
	if t.Concurrency > 0 {
		m.ScalingConfig = &scaling{t.Concurrency}
	}
	m.DestinationConfig.OnFailure = l.destinationOf(t.OnFailure)
	return m
}

// mapped finds the trigger that a path names.
func (l *Lambda) mapped(c *call) (*catalog.Function, *catalog.Trigger, error) {
	id := c.r.PathValue("uuid")
	for _, f := range l.view(c.ctx()).Functions() {
		for _, t := range mappingsOf(f) {
			if mappingID(f.Name, t.Name) == id {
				return f, t, nil
			}
		}
	}
	return nil, nil, noMapping()
}

func (l *Lambda) getMapping(c *call) (any, error) {
	f, t, err := l.mapped(c)
	if err != nil {
		return nil, err
	}
	return l.mappingOf(c.ctx(), f, t), nil
}

func (l *Lambda) updateMapping(c *call) (any, error) {
	var req mappingRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := l.check(c.ctx(), &req); err != nil {
		return nil, err
	}
	f, was, err := l.mapped(c)
	if err != nil {
		return nil, err
	}
	name, _ := function.ParseARN(req.FunctionName)
	if len(req.Topics) > 0 || req.StartingPosition != "" || req.SelfManagedEventSource != nil || name != "" && name != f.Name {
		return nil, badValue("a mapping stays with its function, its topic and its start").WithHint("delete it, and create another; or dalamb seek")
	}
	if req.Enabled != nil && was.Paused == *req.Enabled {
		if err := mayPause(c, f.Name); err != nil {
			return nil, err
		}
	}
	t, err := l.respec(c, f.Name, func(s *function.Spec) error {
		i := slices.IndexFunc(s.Triggers, func(t function.Trigger) bool { return t.Name == was.Name })
		if i < 0 {
			return noMapping()
		}
		changed := s.Triggers[i]
		if changed.Batch == nil { // one event at a time
			changed.Batch = &function.Batch{Size: 1, Bytes: 4 << 20, OnError: function.OnErrorBisect}
		}
		if err := req.trigger(&changed); err != nil {
			return err
		}
		s.Triggers[i] = changed // of the copy
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.enable(c, t, was.Name, req.Enabled)
}

type mappingsAnswer struct {
	EventSourceMappings []mapping
	NextMarker          string `json:",omitempty"`
}

func (l *Lambda) listMappings(c *call) (any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	of, _ := function.ParseARN(c.q.Get("FunctionName"))
	list := []mapping{}
	for _, f := range l.view(c.ctx()).Functions() {
		if of != "" && f.Name != of || c.q.Get("EventSourceArn") != "" {
			continue
		}
		for _, t := range mappingsOf(f) {
			list = append(list, l.mappingOf(c.ctx(), f, t))
		}
	}
	slices.SortFunc(list, func(a, b mapping) int { return strings.Compare(a.UUID, b.UUID) })
	list, next := cut(p, list, func(m mapping) string { return m.UUID })
	return mappingsAnswer{list, next}, nil
}

func (l *Lambda) deleteMapping(c *call) (any, error) {
	f, was, err := l.mapped(c)
	if err != nil {
		return nil, err
	}
	out := l.mappingOf(c.ctx(), f, was)
	out.State = "Deleting"
	_, err = l.respec(c, f.Name, func(s *function.Spec) error {
		s.Triggers = withoutTrigger(s.Triggers, was.Name)
		return nil
	})
	return out, err
}
