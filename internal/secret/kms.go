package secret

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"github.com/dalamb/dalamb/internal/fault"
)

// kmsTimeout bounds one call of the program.
const kmsTimeout = 30 * time.Second

// maxWords is how much of what the program complains is told.
const maxWords = 300

// call starts the program with a last argument, wrap or unwrap: what is to be turned goes to its stdin, the answer is its stdout. It has
// the node's environment, for its own credentials.
func (o *Options) call(ctx context.Context, verb string, in []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kmsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.KMS[0], append(o.KMS[1:len(o.KMS):len(o.KMS)], verb)...)
	cmd.WaitDelay = time.Second
	var out, complaints capped
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaints
	err := cmd.Run()
	fail := func(why error) error {
		// Of what it printed to stdout nothing is told: that may be the key.
		words := strings.Join(strings.Fields(string(complaints.text[:min(len(complaints.text), maxWords)])), " ")
		e := fault.New(fault.Unavailable, "%s %s: %w", o.KMS[0], verb, why)
		if words != "" {
			return e.WithHint("it printed: %s", words)
		}
		return e.WithHint("it has to read stdin, print the answer and end with exit status 0 within %s", kmsTimeout)
	}
	switch {
	case ctx.Err() != nil:
		return nil, fail(ctx.Err())
	case err != nil:
		return nil, fail(err)
	case out.over:
		return nil, fail(errors.New("it printed too much"))
	case len(out.text) == 0:
		return nil, fail(errors.New("it printed nothing"))
	}
	return out.text, nil
}

// capped keeps the beginning of what is written to it.
type capped struct {
	text []byte
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	room := maxKeyFile/2 - len(c.text)
	if len(p) > room {
		c.over = true
	}
	c.text = append(c.text, p[:min(len(p), room)]...)
	return len(p), nil
}
