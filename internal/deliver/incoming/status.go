package incoming

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

// How often it is tried to tell what came of a commit, and how long the first wait is; each is twice the one before.
const (
	reportTries = 6
	firstWait   = time.Second
	// askPatience is for one request.
	askPatience = 10 * time.Second
)

// context of the status, which tells it from those of others.
const statusName = "dalamb"

// statusRunning is the state of what is under way, beside those of function.HookFinished.
const statusRunning = "running"

// newClient is a client for a provider's API: it takes the token nowhere else.
func newClient() *http.Client {
	dialer := &net.Dialer{Timeout: askPatience, Control: func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		return function.CheckReachable(host)
	}}
	return &http.Client{
		Timeout: askPatience, Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: askPatience, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
			MaxConnsPerHost: 8, MaxResponseHeaderBytes: 64 << 10, // of one that is slow, or talks much
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// forge is a provider's API, for one repository.
type forge struct {
	client *http.Client
	hook   *function.Hook
	user   string
	token  string
}

func (k *Keeper) forge(h *function.Hook) (*forge, error) {
	value, err := k.o.Secret(h.Token)
	if err != nil {
		return nil, err
	}
	user, token := userOf(h.Provider, string(value))
	if !strings.Contains(string(value), ":") {
		user = ""
	}
	return &forge{client: k.o.Client, hook: h, user: user, token: token}, nil
}

// apiOf is the base URL of a hook's API.
func apiOf(h *function.Hook) string {
	if h.API != "" {
		return strings.TrimSuffix(h.API, "/")
	}
	if d, ok := dataCenterOf(h); ok {
		return d.base + "/rest/api/latest"
	}
	switch base := site(h); {
	case h.Provider == function.ProviderBitbucket:
		return "https://api.bitbucket.org/2.0"
	case base == "https://github.com":
		return "https://api.github.com"
	case h.Provider == function.ProviderGitHub:
		return base + "/api/v3"
	case h.Provider == function.ProviderGitLab:
		return base + "/api/v4"
	default:
		return base + "/api/v1"
	}
}

// repository is the path of the repository in the API.
func (f *forge) repository() string {
	switch f.hook.Provider {
	case function.ProviderGitLab:
		return apiOf(f.hook) + "/projects/" + url.PathEscape(f.hook.Path())
	case function.ProviderBitbucket:
		if d, ok := dataCenterOf(f.hook); ok {
			return apiOf(f.hook) + d.repository()
		}
		return apiOf(f.hook) + "/repositories/" + f.hook.Path()
	}
	return apiOf(f.hook) + "/repos/" + f.hook.Path()
}

// look asks for the repository: whether it is there, for this token.
func (f *forge) look(ctx context.Context) error { return f.ask(ctx, http.MethodGet, "", nil) }

// words are what a provider calls the states.
func words(provider string) map[string]string {
	switch provider {
	case function.ProviderGitLab:
		return map[string]string{statusRunning: "running", function.HookDelivered: "success", function.HookFailed: "failed", function.HookSuperseded: "canceled"}
	case function.ProviderBitbucket:
		return map[string]string{statusRunning: "INPROGRESS", function.HookDelivered: "SUCCESSFUL", function.HookFailed: "FAILED", function.HookSuperseded: "STOPPED"}
	}
	return map[string]string{statusRunning: "pending", function.HookDelivered: "success", function.HookFailed: "failure", function.HookSuperseded: "error"}
}

// maxDescription is in bytes; GitHub takes 140 characters.
const maxDescription = 140

// tell tells the state of a commit. // GitHub: "Commit statuses"; GitLab: "Commits API"; Bitbucket: "Commit statuses", and of
// Data Center "Builds and Deployments"; Gitea: repoCreateStatus
func (f *forge) tell(ctx context.Context, commit, state, description string) error {
	state = words(f.hook.Provider)[state]
	if len(description) > maxDescription {
		description = strings.ToValidUTF8(description[:maxDescription-3], "") + "..."
	}
	switch f.hook.Provider {
	case function.ProviderGitLab:
		return f.ask(ctx, http.MethodPost, "/statuses/"+commit, map[string]string{"state": state, "name": statusName, "description": description})
	case function.ProviderBitbucket:
		path := "/commit/" + commit + "/statuses/build"
		if _, ok := dataCenterOf(f.hook); ok {
			if path = "/commits/" + commit + "/builds"; state == "STOPPED" {
				state = "CANCELLED"
			}
		}
		return f.ask(ctx, http.MethodPost, path,
			map[string]string{"key": statusName, "name": statusName, "state": state, "description": description, "url": link(f.hook, commit)})
	}
	return f.ask(ctx, http.MethodPost, "/statuses/"+commit, map[string]string{"state": state, "context": statusName, "description": description})
}

func (f *forge) ask(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode a status: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, method, f.repository()+path, bytes.NewReader(text))
	if err != nil {
		return fault.New(fault.Invalid, "ask %s: %w", apiOf(f.hook), err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "dalamb")
	switch {
	case f.hook.Provider == function.ProviderGitLab:
		r.Header.Set("PRIVATE-TOKEN", f.token)
	case f.hook.Provider == function.ProviderGitea:
		r.Header.Set("Authorization", "token "+f.token)
	case f.user != "":
		r.SetBasicAuth(f.user, f.token)
	default:
		r.Header.Set("Authorization", "Bearer "+f.token)
	}
	res, err := f.client.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fault.New(fault.Unavailable, "%s does not answer: %w", apiOf(f.hook), err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	switch s := res.StatusCode; {
	case s >= 200 && s < 300:
		return nil
	case s >= 500, s == http.StatusTooManyRequests, s == http.StatusRequestTimeout:
		return fault.New(fault.Unavailable, "%s answers %d", apiOf(f.hook), s)
	default:
		return fault.New(fault.Denied, "%s answers %d for %s", apiOf(f.hook), s, f.hook.Path()).
			WithHint("may the token %s read the repository and set statuses of commits? Is the API there? Else: --api URL", f.hook.Token)
	}
}

// reporter tells the state of one commit. Nobody waits for it but its own end.
type reporter struct {
	k      *Keeper
	hook   *function.Hook
	commit string
	first  sync.WaitGroup
}

// reporter is nil where nobody is to be told.
func (k *Keeper) reporter(h *function.Hook, d *function.HookFinished) *reporter {
	if _, branch := d.Branch(); !branch || d.After == "" || h.NoStatus || h.Token == "" {
		return nil
	}
	return &reporter{k: k, hook: h, commit: d.After}
}

// begin tells that it is under way. That is worth one try.
func (r *reporter) begin(ctx context.Context) {
	if r == nil {
		return
	}
	r.first.Go(func() {
		if err := r.tell(ctx, statusRunning, "is being delivered"); err != nil && ctx.Err() == nil {
			r.k.o.Logger.Warn("tell the state of a commit", "hook", r.hook.Name, "commit", r.commit, "err", err)
		}
	})
}

func (r *reporter) wait() {
	if r != nil {
		r.first.Wait()
	}
}

func (r *reporter) tell(ctx context.Context, state, description string) error {
	f, err := r.k.forge(r.hook)
	if err != nil {
		return err
	}
	return f.tell(ctx, r.commit, state, description)
}

// report tells what came of a delivery, and tries again for a while.
func (p *keeper) report(ctx context.Context, r *reporter, over *function.HookFinished) {
	if r == nil {
		return
	}
	r.wait()
	told := function.HookReported{ID: over.ID}
	wait := p.o.Wait
	for try := 1; ; try++ {
		err := r.tell(ctx, over.State, describe(over))
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			break
		}
		p.o.Logger.Warn("tell what came of a commit", "hook", over.Hook, "commit", over.After, "err", err)
		if try == reportTries || !fault.Retryable(err) {
			told.Error = err.Error()
			break
		}
		if !pause(ctx, wait) {
			return
		}
		wait *= 2
	}
	p.say(ctx, result{reported: &told, hook: over.Hook})
}

// describe is what came of a delivery, in a line.
func describe(d *function.HookFinished) string {
	switch {
	case d.State == function.HookDelivered && len(d.Functions) > 0:
		return strings.Join(d.Functions, ", ")
	case d.State == function.HookDelivered:
		return "nothing in it is delivered from this branch"
	case d.State == function.HookSuperseded:
		return "a newer push took its place"
	}
	line, rest, _ := strings.Cut(d.Error, "\n")
	if strings.HasSuffix(line, ":") { // what is wrong stands on the lines below
		first, _, _ := strings.Cut(rest, "\n")
		line += " " + first
	}
	return strings.TrimSpace(line)
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
