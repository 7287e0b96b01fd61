package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func get(path ...string) request { return request{method: http.MethodGet, path: path} }

// Node says what the node is.
func (c *Client) Node(ctx context.Context) (out wire.Node, err error) {
	return out, c.call(ctx, get("v1", "node"), &out)
}

// Nodes lists the nodes that share a log, the one that is asked first.
func (c *Client) Nodes(ctx context.Context) (out wire.NodeList, err error) {
	return out, c.call(ctx, get("v1", "nodes"), &out)
}

// Functions lists all functions.
func (c *Client) Functions(ctx context.Context) ([]wire.FunctionSummary, error) {
	var out wire.FunctionList
	err := c.call(ctx, get("v1", "functions"), &out)
	return out.Functions, err
}

// Function returns one function.
func (c *Client) Function(ctx context.Context, name string) (out wire.Function, err error) {
	return out, c.call(ctx, get("v1", "functions", name), &out)
}

// Instances lists the live instances of a function, or of all when name is empty.
func (c *Client) Instances(ctx context.Context, name string) (out wire.InstanceList, err error) {
	r := get("v1", "instances")
	if name != "" {
		r.query = url.Values{"function": {name}}
	}
	return out, c.call(ctx, r, &out)
}

// Start waits until an instance of a version is ready.
func (c *Client) Start(ctx context.Context, fn string, version int) (out wire.Started, err error) {
	r := request{method: http.MethodPost, path: []string{"v1", "functions", fn, "start"}}
	v := values{}
	v.number("version", int64(version))
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}

// Deploy makes a version. Its code was put before.
func (c *Client) Deploy(ctx context.Context, d wire.DeployRequest) (out wire.Deployed, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "functions"}, body: d}, &out)
}

// Release makes versions of several functions, all or none. Their code was put before.
func (c *Client) Release(ctx context.Context, r wire.ReleaseRequest) ([]wire.Deployed, error) {
	var out wire.Released
	err := c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "releases"}, body: r}, &out)
	return out.Functions, err
}

// Remove takes a function away.
func (c *Client) Remove(ctx context.Context, name string) (out wire.Removed, err error) {
	return out, c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "functions", name}}, &out)
}

// HasCode says whether the node holds the code of a digest.
func (c *Client) HasCode(ctx context.Context, digest string) (bool, error) {
	err := c.call(ctx, request{method: http.MethodHead, path: []string{"v1", "code", digest}}, nil)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Code returns the code of a digest, as a tar archive. The caller closes it.
func (c *Client) Code(ctx context.Context, digest string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, get("v1", "code", digest))
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// PutCode uploads an archive that image.Pack has made, whose digest this is.
func (c *Client) PutCode(ctx context.Context, digest string, archive io.Reader) error {
	return c.call(ctx, request{
		method: http.MethodPut, path: []string{"v1", "code", digest}, body: archive,
		header: http.Header{"Content-Type": {"application/x-tar"}},
	}, nil)
}

// BringCode uploads code where the node does not hold it. Only then archive is called, for what PutCode takes.
func (c *Client) BringCode(ctx context.Context, digest string, archive func() (io.ReadCloser, error)) error {
	there, err := c.HasCode(ctx, digest)
	if err != nil || there {
		return err
	}
	packed, err := archive()
	if err != nil {
		return err
	}
	defer packed.Close()
	return c.PutCode(ctx, digest, packed)
}

// Topics lists all topics.
func (c *Client) Topics(ctx context.Context) ([]wire.Topic, error) {
	var out wire.TopicList
	err := c.call(ctx, get("v1", "topics"), &out)
	return out.Topics, err
}

// Topic returns one topic with the bounds of its partitions.
func (c *Client) Topic(ctx context.Context, name string) (out wire.Topic, err error) {
	return out, c.call(ctx, get("v1", "topics", name), &out)
}

// CreateTopic makes a topic.
func (c *Client) CreateTopic(ctx context.Context, t wire.TopicCreate) (out wire.Topic, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "topics"}, body: t}, &out)
}

// AlterTopic changes a topic.
func (c *Client) AlterTopic(ctx context.Context, name string, t wire.TopicAlter) (out wire.Topic, err error) {
	return out, c.call(ctx, request{method: http.MethodPatch, path: []string{"v1", "topics", name}, body: t}, &out)
}

// Forget makes the events of a key in sealed topics unreadable, or counts them.
func (c *Client) Forget(ctx context.Context, f wire.Forget) (out wire.Forgotten, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "forget"}, body: f}, &out)
}

// DeleteTopic removes a topic and its events.
func (c *Client) DeleteTopic(ctx context.Context, name string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"v1", "topics", name}}, nil)
}

// Triggers lists the triggers of all functions, those that listen to a topic alone where it is named.
func (c *Client) Triggers(ctx context.Context, topic string) ([]wire.FunctionTrigger, error) {
	v := values{}
	v.text("topic", topic)
	r := get("v1", "triggers")
	r.query = url.Values(v)
	var out wire.TriggerList
	err := c.call(ctx, r, &out)
	return out.Triggers, err
}

// PauseTrigger starts no more runs of a trigger.
func (c *Client) PauseTrigger(ctx context.Context, fn, trigger string) error {
	return c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "triggers", fn, trigger, "pause"}}, nil)
}

// ResumeTrigger lets a trigger go on.
func (c *Client) ResumeTrigger(ctx context.Context, fn, trigger string) error {
	return c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "triggers", fn, trigger, "resume"}}, nil)
}

// Event returns the event at one position.
func (c *Client) Event(ctx context.Context, topic string, partition int32, offset int64) (out wire.EventAt, err error) {
	return out, c.call(ctx, get("v1", "events", topic, strconv.Itoa(int(partition)), strconv.FormatInt(offset, 10)), &out)
}

// RunQuery selects runs. Zero fields select all.
type RunQuery struct {
	Function, Trigger string
	Env               string // environment
	State             function.RunState
	Event             string // id
	Since, Before     time.Time
	Limit             int
	After             string // Next of the page before
}

// RunCounts returns how many runs there were lately.
func (c *Client) RunCounts(ctx context.Context) (out wire.RunCounts, err error) {
	return out, c.call(ctx, get("v1", "run-counts"), &out)
}

// Runs returns a page of runs, newest first.
func (c *Client) Runs(ctx context.Context, q RunQuery) (out wire.RunList, err error) {
	v := values{}
	v.text("function", q.Function)
	v.text("env", q.Env)
	v.text("trigger", q.Trigger)
	v.text("state", string(q.State))
	v.text("event", q.Event)
	v.time("since", q.Since)
	v.time("before", q.Before)
	v.number("limit", int64(q.Limit))
	v.text("after", q.After)
	r := get("v1", "runs")
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}

// Run returns one run with its event.
func (c *Client) Run(ctx context.Context, id string) (out wire.RunDetail, err error) {
	return out, c.call(ctx, get("v1", "runs", id), &out)
}

// DeadQuery selects dead letters. Zero fields select all.
type DeadQuery struct {
	Function, Trigger string
	Env               string // environment
	Pattern           string
	Error             string // text in the last error
	Since, Before     time.Time
	Limit             int
	After             string
}

// DeadLetters returns a page of dead letters, newest first.
func (c *Client) DeadLetters(ctx context.Context, q DeadQuery) (out wire.DeadList, err error) {
	v := values{}
	v.text("function", q.Function)
	v.text("env", q.Env)
	v.text("trigger", q.Trigger)
	v.text("pattern", q.Pattern)
	v.text("error", q.Error)
	v.time("since", q.Since)
	v.time("before", q.Before)
	v.number("limit", int64(q.Limit))
	v.text("after", q.After)
	r := get("v1", "dead")
	r.query = url.Values(v)
	return out, c.call(ctx, r, &out)
}

// DeadLetter returns one dead letter by its run's id.
func (c *Client) DeadLetter(ctx context.Context, id string) (out function.DeadLetter, err error) {
	return out, c.call(ctx, get("v1", "dead", id), &out)
}

// Redrive starts a job that runs dead letters again.
func (c *Client) Redrive(ctx context.Context, r wire.Redrive) (out wire.RedriveStarted, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "dead", "redrive"}, body: r}, &out)
}

// RedriveState says how far a redrive is.
func (c *Client) RedriveState(ctx context.Context, job string) (out wire.RedriveState, err error) {
	return out, c.call(ctx, get("v1", "dead", "redrive", job), &out)
}

// EditDead runs a dead letter again with another event.
func (c *Client) EditDead(ctx context.Context, id string, e wire.DeadEdit) (out wire.DeadEdited, err error) {
	return out, c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "dead", id, "edit"}, body: e}, &out)
}

// Discard gives dead letters up and returns how many.
func (c *Client) Discard(ctx context.Context, d wire.Discard) (int, error) {
	var out wire.Discarded
	err := c.call(ctx, request{method: http.MethodPost, path: []string{"v1", "dead", "discard"}, body: d}, &out)
	return out.Discarded, err
}

// values are query parameters; what is zero is left out.
type values url.Values

func (v values) text(name, s string) {
	if s != "" {
		v[name] = []string{s}
	}
}

func (v values) number(name string, n int64) {
	if n != 0 {
		v[name] = []string{strconv.FormatInt(n, 10)}
	}
}

func (v values) flag(name string, b bool) {
	if b {
		v[name] = []string{"true"}
	}
}

func (v values) time(name string, t time.Time) {
	if !t.IsZero() {
		v[name] = []string{t.Format(time.RFC3339Nano)}
	}
}
