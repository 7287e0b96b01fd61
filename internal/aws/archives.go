package aws

import (
	"slices"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

// archiveNotes begins the keys of archives.
const archiveNotes = "events/archive/"

// Bounds of an archive. Amazon EventBridge API reference, ArchiveName; a century of days is more than any topic keeps but for ever.
const (
	maxArchiveName   = 48
	maxArchiveDays   = 36500
	noSuchThing      = "ResourceNotFoundException"
	alreadyThere     = "ResourceAlreadyExistsException"
	stateOfAnArchive = "ENABLED"
)

// archive is a name for those events of a bus that its topic keeps: from when it was made on, of the last days. It keeps nothing by itself.
type archive struct {
	Name          string
	Bus           string
	TopicID       string `json:",omitempty"` // of the bus
	Description   string
	EventPattern  string
	RetentionDays int // 0 = for ever
	Created       time.Time
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

type archiveRequest struct {
	ArchiveName      string
	EventSourceArn   string
	Description      *string
	EventPattern     *string
	RetentionDays    *int
	KmsKeyIdentifier string
}

func (r *archiveRequest) check() error {
	if err := checkEventsName("ArchiveName", r.ArchiveName, maxArchiveName); err != nil {
		return err
	}
	switch {
	case r.KmsKeyIdentifier != "":
		return badValue("KmsKeyIdentifier: there are no keys of AWS's here")
	case r.Description != nil && len(*r.Description) > maxEventsText:
		return badValue("Description: it has more than %d bytes", maxEventsText)
	case r.RetentionDays != nil && (*r.RetentionDays < 0 || *r.RetentionDays > maxArchiveDays):
		return badValue("RetentionDays: %d is not from 0 to %d", *r.RetentionDays, maxArchiveDays)
	}
	return nil
}

// apply changes an archive into what is asked for, as far as its topic keeps that.
func (b *EventBridge) applyArchive(a *archive, r *archiveRequest, topic wire.Topic) error {
	if r.Description != nil {
		a.Description = *r.Description
	}
	if r.EventPattern != nil {
		a.EventPattern = *r.EventPattern
	}
	if r.RetentionDays != nil {
		a.RetentionDays = *r.RetentionDays
	}
	if a.EventPattern != "" {
		if _, err := b.filterOf(a.EventPattern); err != nil {
			return err
		}
	}
	if topic.Retention == wire.Forever {
		return nil
	}
	var keeps function.Duration
	if err := keeps.UnmarshalText([]byte(topic.Retention)); err != nil {
		return err
	}
	days := int(keeps.Std() / (24 * time.Hour))
	if a.RetentionDays == 0 || a.RetentionDays > days {
		return badValue("RetentionDays: an archive keeps what its bus keeps, and the topic %s keeps events for %s (%d days); without RetentionDays it would be for ever", topic.Name, topic.Retention, days).
			WithHint("dalamb topic alter %s --retention forever, or RetentionDays of at most %d", topic.Name, days)
	}
	return nil
}

// createdArchive is what CreateArchive and UpdateArchive answer.
type createdArchive struct {
	ArchiveArn   string
	State        string
	CreationTime float64
}

func (b *EventBridge) created(a *archive) createdArchive {
	return createdArchive{eventsARN(b.l.o.Region, "archive", a.Name), stateOfAnArchive, unixSeconds(a.Created)}
}

func (b *EventBridge) createArchive(c *eventsCall) (any, error) {
	var req archiveRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	if req.EventSourceArn == "" {
		return nil, badValue("EventSourceArn: it is not there")
	}
	on, topic, err := b.busThere(c, req.EventSourceArn)
	if err != nil {
		return nil, err
	}
	var made archive
	err = keep(c.ctx(), b, archiveNotes+req.ArchiveName, func(a *archive, there bool) error {
		if _, _, err := b.archive(c, req.ArchiveName); there && fault.KindOf(err) != fault.NotFound { // else it is of a bus that is gone
			if err != nil {
				return err
			}
			return ofType(alreadyThere, fault.New(fault.Conflict, "Archive %s already exists.", req.ArchiveName))
		}
		made = archive{Name: req.ArchiveName, Bus: on.name, TopicID: topic.ID, Created: b.l.o.Now().UTC()}
		*a = made
		if err := b.applyArchive(a, &req, topic); err != nil {
			return err
		}
		made = *a
		return nil
	})
	if err != nil {
		return nil, err
	}
	return b.created(&made), nil
}

func (b *EventBridge) updateArchive(c *eventsCall) (any, error) {
	var req archiveRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	if req.EventSourceArn != "" {
		return nil, badValue("EventSourceArn: an archive stays with its bus")
	}
	was, topic, err := b.archive(c, req.ArchiveName)
	if err != nil {
		return nil, err
	}
	if err := keep(c.ctx(), b, archiveNotes+req.ArchiveName, func(a *archive, there bool) error {
		if !there {
			return noArchive(req.ArchiveName)
		}
		*was = *a
		return b.applyArchive(a, &req, topic)
	}); err != nil {
		return nil, err
	}
	return b.created(was), nil
}

func noArchive(name string) error {
	return ofType(noSuchThing, fault.New(fault.NotFound, "Archive %s does not exist.", fault.Clip(name)))
}

// archive is one whose bus is there, and the topic of that.
func (b *EventBridge) archive(c *eventsCall, name string) (*archive, wire.Topic, error) {
	a, there := kept[archive](b, archiveNotes+name)
	if !there {
		return nil, wire.Topic{}, noArchive(name)
	}
	_, topic, err := b.busThere(c, a.Bus)
	if fault.KindOf(err) == fault.NotFound || err == nil && !sameTopic(a.TopicID, topic) {
		return nil, wire.Topic{}, noArchive(name)
	}
	return &a, topic, err
}

// archives are those whose buses are there, by their names.
func (b *EventBridge) archives(c *eventsCall) ([]archive, error) {
	list, err := b.topics.Topics(c.ctx())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(allKept[archive](b, archiveNotes), func(a archive) bool {
		on, err := b.bus(a.Bus)
		return err != nil || !slices.ContainsFunc(list.Topics, func(t wire.Topic) bool { return t.Name == on.topic && sameTopic(a.TopicID, t) })
	}), nil
}

// archiveAnswer is AWS's Archive. What DescribeArchive tells besides is absent of lists.
type archiveAnswer struct {
	ArchiveArn     string `json:",omitempty"`
	ArchiveName    string
	EventSourceArn string
	Description    string `json:",omitempty"`
	EventPattern   string `json:",omitempty"`
	State          string
	RetentionDays  int
	CreationTime   float64
}

func (b *EventBridge) tellArchive(a *archive) archiveAnswer {
	return archiveAnswer{
		ArchiveName: a.Name, EventSourceArn: bus{name: a.Bus}.arn(b.l.o.Region), State: stateOfAnArchive, RetentionDays: a.RetentionDays, CreationTime: unixSeconds(a.Created),
	}
}

func (b *EventBridge) describeArchive(c *eventsCall) (any, error) {
	var req struct{ ArchiveName string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	a, _, err := b.archive(c, req.ArchiveName)
	if err != nil {
		return nil, err
	}
	out := b.tellArchive(a)
	out.ArchiveArn, out.Description, out.EventPattern = eventsARN(b.l.o.Region, "archive", a.Name), a.Description, a.EventPattern
	return out, nil
}

func (b *EventBridge) listArchives(c *eventsCall) (any, error) {
	var req struct {
		listed
		EventSourceArn string
		State          string
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	archives, err := b.archives(c)
	if err != nil {
		return nil, err
	}
	var all []archiveAnswer
	for _, a := range archives {
		one := b.tellArchive(&a)
		if (req.EventSourceArn == "" || req.EventSourceArn == one.EventSourceArn) && (req.State == "" || req.State == one.State) {
			all = append(all, one)
		}
	}
	list, next, err := part(req.listed, all, func(a archiveAnswer) string { return a.ArchiveName })
	if err != nil {
		return nil, err
	}
	return struct {
		Archives  []archiveAnswer
		NextToken string `json:",omitempty"`
	}{list, next}, nil
}

func (b *EventBridge) deleteArchive(c *eventsCall) (any, error) {
	var req struct{ ArchiveName string }
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if _, there := kept[archive](b, archiveNotes+req.ArchiveName); !there { // its bus may be gone
		return nil, noArchive(req.ArchiveName)
	}
	return nil, forget(c.ctx(), b, archiveNotes+req.ArchiveName)
}
