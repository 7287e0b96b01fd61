package function

import (
	"encoding/json"
	"strings"
	"time"
)

// RunState is where a run stands.
type RunState string

const (
	RunRetrying  RunState = "retrying"  // an attempt failed; another will follow
	RunSucceeded RunState = "succeeded" // final
	RunDead      RunState = "dead"      // final: used up its attempts, or may not be retried; kept as a dead letter
	RunDiscarded RunState = "discarded" // final: by a rule that the user wrote
	RunExpired   RunState = "expired"   // final: the topic's retention took the event before its turn
)

// ReasonResolved begins, in a dead run's reason, what became of its dead letter: "resolved: redriven by run ID".
const ReasonResolved = "resolved: "

// EventRef names an event and where it stands in the log.
type EventRef struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	ID        string `json:"id,omitempty"`
	Type      string `json:"type,omitempty"`
	Source    string `json:"source,omitempty"`
	Subject   string `json:"subject,omitempty"`
	Key       string `json:"key,omitempty"`
}

// Attempt is one invocation of a run that is over.
type Attempt struct {
	Number   int       `json:"number"`           // counts from 1
	Batch    int       `json:"batch,omitzero"`   // how many events the invocation had, when more than one
	Split    bool      `json:"split,omitzero"`   // the batch failed and its halves are tried: this does not count towards retry.attempts
	Version  int       `json:"version,omitzero"` // this, start and duration are not known of an attempt during which the node ended
	Note     string    `json:"note,omitempty"`   // why that version had it, where that is not what the trigger says
	Instance string    `json:"instance,omitempty"`
	ID       string    `json:"id,omitempty"` // of the invocation
	Start    time.Time `json:"start,omitzero"`
	Duration Duration  `json:"duration,omitzero"`
	Outcome  Outcome   `json:"outcome"`
	Failure  *Failure  `json:"failure,omitempty"`
	Status   int       `json:"status,omitempty"` // http only
	Cold     bool      `json:"cold,omitempty"`
	Next     time.Time `json:"next,omitzero"` // when the following attempt is due; zero = there is none
}

// Emitted names an event that a run put in the log.
type Emitted struct {
	Topic string `json:"topic"`
	ID    string `json:"id"`
	Type  string `json:"type"`
	// Key and Digest say where it may stand and what it is: event.Digest of it. Absent in what older binaries wrote; Digest also where the topic is sealed, since it
	// would tell of data that is forgotten.
	Key    string `json:"key,omitempty"`
	Digest string `json:"digest,omitempty"`
}

// Sent names what a run's destination was told.
type Sent struct {
	Destination
	ID    string `json:"id,omitempty"`    // of the event
	Error string `json:"error,omitempty"` // why nothing was sent
}

// MaxResultKept is how much of a run's result stays in the log with the run, in bytes.
const MaxResultKept = 64 << 10

// Run is the story of one event on one trigger: the data of run.finished and attempt.failed events in _dalamb.runs.
type Run struct {
	ID         string          `json:"id"` // the same for every attempt, also after a crash
	Function   string          `json:"function"`
	Trigger    string          `json:"trigger"`
	State      RunState        `json:"state"`
	Event      EventRef        `json:"event"`
	Attempts   []Attempt       `json:"attempts,omitempty"`
	Finished   time.Time       `json:"finished,omitzero"`
	Emitted    []Emitted       `json:"emitted,omitempty"`
	Sent       *Sent           `json:"sent,omitempty"`       // where the trigger has a destination for this outcome
	Result     json.RawMessage `json:"result,omitempty"`     // the result when it is JSON and at most MaxResultKept
	ResultRaw  []byte          `json:"resultRaw,omitempty"`  // the first MaxResultKept bytes of any other result
	ResultSize int64           `json:"resultSize,omitempty"` // of a result that was cut: bytes of all of it
	Answer     *Answer         `json:"answer,omitempty"`     // of a request that is answered later, in place of Result
	Reason     string          `json:"reason,omitempty"`     // why it is dead, discarded or expired
	Lost       int64           `json:"lost,omitempty"`       // expired: offsets, from Event's on, that retention took before the trigger had looked at them
	RedriveOf  string          `json:"redriveOf,omitempty"`  // the dead letter that this run tried again
}

// RunBatch is the story of events that one invocation took and that all succeeded at their first attempt: the data of a
// batch.finished event in _dalamb.runs, in place of one run.finished for each.
type RunBatch struct {
	Run    Run      `json:"run"`    // of the first; what was emitted, and the result, are its
	Others []RunRef `json:"others"` // the same in everything but this
}

// RunRef names a run and its event.
type RunRef struct {
	ID    string   `json:"id"`
	Event EventRef `json:"event"`
}

// Runs are the runs that it tells of.
func (b *RunBatch) Runs() []Run {
	runs := make([]Run, 1, 1+len(b.Others))
	runs[0] = b.Run
	for _, o := range b.Others {
		r := b.Run
		r.ID, r.Event = o.ID, o.Event
		r.Emitted, r.Result, r.ResultRaw, r.ResultSize = nil, nil, nil, 0
		runs = append(runs, r)
	}
	return runs
}

// DeadLetter is a run that used up its attempts, with its event's bytes: the value of a record in _dalamb.dead whose key is Run.ID.
type DeadLetter struct {
	Run      Run             `json:"run"`
	Event    json.RawMessage `json:"event"` // structured CloudEvent
	Appended time.Time       `json:"appended"`
}

// Says is true when the dead letter's last error, or the reason why it died, has the text in it, in capitals or not.
func (d *DeadLetter) Says(text string) bool {
	text = strings.ToLower(text)
	if strings.Contains(strings.ToLower(d.Run.Reason), text) {
		return true
	}
	n := len(d.Run.Attempts)
	if n == 0 || d.Run.Attempts[n-1].Failure == nil {
		return false
	}
	f := d.Run.Attempts[n-1].Failure
	return strings.Contains(strings.ToLower(f.Type+": "+f.Message), text)
}

// InvokeRequest is the data of an invoke.requested event in _dalamb.invoke: an asynchronous call, or a dead letter's redrive.
// The event's subject is the function's name. Exactly one of Payload, Event and Request is set.
type InvokeRequest struct {
	Function  string          `json:"function"`
	Alias     string          `json:"alias,omitempty"` // "" = live
	Payload   json.RawMessage `json:"payload,omitempty"`
	Event     json.RawMessage `json:"event,omitempty"`     // structured CloudEvent
	Request   *LateRequest    `json:"request,omitempty"`   // of a route's client, who has been told where the answer will be
	Trigger   string          `json:"trigger,omitempty"`   // redrive: the trigger whose rules apply
	RedriveOf string          `json:"redriveOf,omitempty"` // redrive: the dead letter's run id
	Origin    *EventRef       `json:"origin,omitempty"`    // redrive: where the event stood
	ID        string          `json:"id,omitempty"`        // AWS request id of an asynchronous call
	Attempts  []Attempt       `json:"attempts,omitempty"`  // redrive: what the dead letter has behind it
	Version   int             `json:"version,omitempty"`   // on this version; 0 = by Alias
}

// Request is the data of a request.completed event in _dalamb.requests. Bodies over 64 KiB are cut, secret-bearing headers redacted.
type Request struct {
	ID         string              `json:"id"`
	Run        string              `json:"run,omitempty"`     // the ID of the first attempt; "" = this is it
	Attempt    int                 `json:"attempt,omitempty"` // counts from 1; 0 = 1
	Function   string              `json:"function"`
	Version    int                 `json:"version"`
	Route      string              `json:"route,omitempty"`
	Method     string              `json:"method"`
	Path       string              `json:"path"` // with query
	Remote     string              `json:"remote,omitempty"`
	Header     map[string][]string `json:"header,omitempty"`
	Body       []byte              `json:"body,omitempty"`
	BodySize   int64               `json:"bodySize"`
	Status     int                 `json:"status"`
	Outcome    Outcome             `json:"outcome"`
	Failure    *Failure            `json:"failure,omitempty"`
	Answer     []byte              `json:"answer,omitempty"`
	AnswerSize int64               `json:"answerSize"`
	Abandoned  bool                `json:"abandoned,omitempty"` // the client went away before it had all of a streamed answer
	Start      time.Time           `json:"start"`
	Duration   Duration            `json:"duration"`
	Cold       bool                `json:"cold,omitempty"`
	Emitted    []Emitted           `json:"emitted,omitempty"`
	Instance   string              `json:"instance,omitempty"`
}

// System topics.
const (
	TopicControl  = "_dalamb.control"
	TopicProgress = "_dalamb.progress"
	TopicRuns     = "_dalamb.runs"
	TopicRequests = "_dalamb.requests"
	TopicLogs     = "_dalamb.logs"
	TopicInvoke   = "_dalamb.invoke"
	TopicJobs     = "_dalamb.jobs"
	TopicDead     = "_dalamb.dead"
	TopicDelayed  = "_dalamb.delayed" // events that wait long for their turn
	TopicCode     = "_dalamb.code"    // functions' code, for the other nodes of a shared log
	TopicNodes    = "_dalamb.nodes"   // what the nodes of a shared log say of themselves
	TopicBodies   = "_dalamb.bodies"  // of requests that are answered later, those too long for an event
	TopicSeals    = "_dalamb.seals"   // the keys that events of sealed topics are sealed with, sealed themselves
	TopicEvents   = "events"          // the default topic of users
	TopicTicks    = "_dalamb.ticks"
)

// AsWide names the topics that have to be as wide as the widest: what a node knows of a partition stands in the partition of the same
// number there. They come first, so a topic is never wider than its progress.
func AsWide() []string { return []string{TopicProgress, TopicDelayed} }

// SystemTopic says whether only dalamb may write to a topic.
func SystemTopic(name string) bool { return len(name) > 0 && name[0] == '_' }
