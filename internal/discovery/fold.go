package discovery

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/event"
	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// Service is a service as it stands. It never changes; the fold replaces it.
type Service struct {
	Name      string
	Last      int64                      // offset of what changed it last
	Instances []function.ServiceInstance // by name
}

func (s *Service) names() []string {
	names := make([]string, len(s.Instances))
	for i := range s.Instances {
		names[i] = s.Instances[i].Instance
	}
	return names
}

// Healthy are the instances that are well.
func (s *Service) Healthy() []function.ServiceInstance {
	return slices.DeleteFunc(slices.Clone(s.Instances), func(i function.ServiceInstance) bool { return !i.Healthy })
}

// View is the state at one offset.
type View struct {
	Offset    int64
	Instances int // of all services

	services map[string]*Service
	last     map[string]int64 // of services, those that are gone included
	known    int64            // from here on it is known what went
}

// Services lists those that have instances, by name.
func (v *View) Services() []*Service {
	all := make([]*Service, 0, len(v.services))
	for _, name := range slices.Sorted(maps.Keys(v.services)) {
		all = append(all, v.services[name])
	}
	return all
}

// Service returns a service, or NotFound with the nearest names.
func (v *View) Service(name string) (*Service, error) {
	if s, ok := v.services[name]; ok {
		return s, nil
	}
	return nil, fault.Missing("service", name, slices.Sorted(maps.Keys(v.services)))
}

// Instance returns an instance of a service.
func (v *View) Instance(service, instance string) (function.ServiceInstance, bool) {
	if s, ok := v.services[service]; ok {
		if at, there := s.find(instance); there {
			return s.Instances[at], true
		}
	}
	return function.ServiceInstance{}, false
}

// Since lists the services that have changed at or after an offset, those that are gone included, in the order of that. ok is false where it is not
// known any more which are gone: then whoever asks has to begin anew.
func (v *View) Since(offset int64) (names []string, ok bool) {
	if offset > v.Offset || offset < v.known {
		return nil, false
	}
	for name, at := range v.last {
		if at >= offset {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return int(v.last[a] - v.last[b]) })
	return names, true
}

func (s *Service) find(instance string) (int, bool) {
	return slices.BinarySearchFunc(s.Instances, instance, func(i function.ServiceInstance, name string) int { return strings.Compare(i.Instance, name) })
}

// registration is the data of an event that registers an instance, healthFact that of one about its health. A null in the place of the first takes it away.
type (
	registration struct {
		function.Registration
		ID string `json:"id"`
	}
	healthFact struct {
		Service  string `json:"service"`
		Instance string `json:"instance"`
		ID       string `json:"id"`               // of the registration that it is about
		Reason   string `json:"reason,omitempty"` // why it is not healthy; "" = it is
	}
)

// Keys of records. Names of instances have no slash.
func (k key) registration() string { return k.service + "/" + k.instance }
func (k key) health() string       { return k.service + "/" + k.instance + "/health" }

func parseKey(text string) (k key, health bool) {
	text, health = strings.CutSuffix(text, "/health")
	k.service, k.instance, _ = strings.Cut(text, "/")
	return k, health
}

func registered(r function.Registration, now time.Time) eventlog.Record {
	return record(event.TypeServiceRegistered, key{r.Service, r.Instance}.registration(), now, registration{Registration: r, ID: event.NewID()})
}

// healthChanged says that an instance is healthy, reason "", or why not.
func healthChanged(i *function.ServiceInstance, reason string, now time.Time) eventlog.Record {
	k := key{i.Service, i.Instance}
	return record(event.TypeServiceHealthChanged, k.health(), now, healthFact{Service: k.service, Instance: k.instance, ID: i.ID, Reason: reason})
}

// gone takes an instance and its health away.
func gone(k key) []eventlog.Record {
	return []eventlog.Record{
		{Topic: function.TopicServices, Key: []byte(k.registration())},
		{Topic: function.TopicServices, Key: []byte(k.health())},
	}
}

func record(typ, key string, now time.Time, data any) eventlog.Record {
	text, err := json.Marshal(data)
	if err != nil { // texts and numbers
		panic(fmt.Sprintf("encode %T: %v", data, err))
	}
	r := eventlog.FromEvent(function.TopicServices, &event.Event{
		ID: event.NewID(), Source: "/dalamb/services", Type: typ, Subject: key, Time: now.UTC(), DataContentType: "application/json", Data: text,
		Extensions: map[string]any{event.ExtPartitionKey: key},
	})
	r.Partition = partition.ID
	return r
}

// state is what the fold changes; services that are in a view are replaced.
type state struct {
	offset   int64
	known    int64 // behind the last record that was there when the fold began: what went before may have been compacted away
	began    int64 // end of the topic then, before which there may be a gap
	count    int
	services map[string]*Service
	last     map[string]int64
}

func newState() *state { return &state{services: map[string]*Service{}, last: map[string]int64{}} }

// maxGone bounds the names of services that are gone and still told to who follows.
const maxGone = 10_000

func (s *state) publish() *View {
	if len(s.last) > len(s.services)+maxGone {
		for name := range s.last {
			if s.services[name] == nil {
				delete(s.last, name)
			}
		}
		s.known = s.offset
	}
	return &View{Offset: s.offset, Instances: s.count, services: maps.Clone(s.services), last: maps.Clone(s.last), known: s.known}
}

// fold takes one record. It returns the instance of which the record shows that it lives, with the id of its registration, or that it is gone, "".
func (s *state) fold(r *eventlog.Record) (key, string, error) {
	s.offset = r.Offset + 1
	if s.offset <= s.began {
		s.known = s.offset
	}
	k, health := parseKey(string(r.Key))
	switch {
	case r.Value == nil && health:
		return key{}, "", nil
	case r.Value == nil:
		s.remove(k, r.Offset)
		return k, "", nil
	}
	e, err := eventlog.ToEvent(*r)
	if err != nil {
		return key{}, "", err
	}
	switch e.Type {
	case event.TypeServiceRegistered:
		var d registration
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return key{}, "", fmt.Errorf("decode a registration: %w", err)
		}
		if err := d.Validate(); err != nil {
			return key{}, "", err
		}
		i := function.ServiceInstance{Registration: d.Registration, ID: d.ID, Registered: e.Time, Since: e.Time, Healthy: d.Check == nil}
		if !i.Healthy {
			i.Reason = notChecked
		}
		s.put(i, r.Offset)
		return k, d.ID, nil
	case event.TypeServiceHealthChanged:
		return s.foldHealth(e, r.Offset)
	}
	return key{}, "", nil // of a later version
}

// notChecked is why a new instance that is checked is not healthy yet.
const notChecked = "it was not checked yet"

func (s *state) foldHealth(e *event.Event, offset int64) (key, string, error) {
	var d healthFact
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return key{}, "", fmt.Errorf("decode the health of an instance: %w", err)
	}
	k := key{d.Service, d.Instance}
	service := s.services[d.Service]
	if service == nil {
		return key{}, "", nil
	}
	at, there := service.find(d.Instance)
	if !there || service.Instances[at].ID != d.ID {
		return key{}, "", nil // it has been registered anew, or is gone
	}
	if i := service.Instances[at]; i.Healthy != (d.Reason == "") || i.Reason != d.Reason {
		if i.Healthy != (d.Reason == "") {
			i.Since = e.Time
		}
		i.Healthy, i.Reason = d.Reason == "", d.Reason
		s.put(i, offset)
	}
	if d.Reason != "" {
		return key{}, "", nil
	}
	return k, d.ID, nil
}

func (s *state) put(i function.ServiceInstance, offset int64) {
	next := &Service{Name: i.Service, Last: offset}
	if old := s.services[i.Service]; old != nil {
		next.Instances = slices.Clone(old.Instances)
	}
	if at, there := next.find(i.Instance); there {
		next.Instances[at] = i
	} else {
		next.Instances = slices.Insert(next.Instances, at, i)
		s.count++
	}
	s.services[i.Service], s.last[i.Service] = next, offset
}

func (s *state) remove(k key, offset int64) {
	old := s.services[k.service]
	if old == nil {
		return
	}
	at, there := old.find(k.instance)
	if !there {
		return
	}
	s.count--
	s.last[k.service] = offset
	if len(old.Instances) == 1 {
		delete(s.services, k.service)
		return
	}
	s.services[k.service] = &Service{Name: k.service, Last: offset, Instances: slices.Delete(slices.Clone(old.Instances), at, at+1)}
}
