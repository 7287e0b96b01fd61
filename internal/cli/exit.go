package cli

import (
	"errors"

	"github.com/dalamb/dalamb/internal/fault"
)

// Exit codes. They are in the help of every command.
const (
	exitOK      = 0
	exitFailed  = 1 // dalamb, the node or the function failed; pattern test: no match
	exitInvalid = 2 // the input is wrong: a flag, a manifest, a pattern, an event

	exitReaderGone = 128 + 13 // as a shell says it of a program that SIGPIPE has ended: POSIX, "Exit Status for Commands"
)

const exitHelp = `Exit codes: 0 done, 1 it failed (the function's own error included), 2 the input is wrong, 141 nobody reads its output any more.`

// ExitCode is what a command ends with for one kind of error.
type ExitCode struct {
	Kind    fault.Kind
	Code    int
	Meaning string
}

// ExitCodes is the one table of faults to exit codes. 2 is for what is wrong in itself: the same command line is wrong again,
// whatever the node holds. A mistake in flags or arguments is Invalid too.
func ExitCodes() []ExitCode {
	return []ExitCode{
		{fault.Invalid, exitInvalid, "a flag, an argument, a manifest, a pattern or an event is wrong, or a question was not answered with yes"},
		{fault.TooLarge, exitInvalid, "the input is over a size limit"},
		{fault.NotFound, exitFailed, "what is named is not there"},
		{fault.Conflict, exitFailed, "it is there already, somebody else was first, or the state forbids it"},
		{fault.Unauthenticated, exitFailed, "the node does not know the token"},
		{fault.Denied, exitFailed, "it is not allowed"},
		{fault.Exhausted, exitFailed, "a bound is reached; later there may be room"},
		{fault.Unavailable, exitFailed, "no node answers, or something that it needs is not there just now"},
		{fault.Timeout, exitFailed, "it took too long"},
		{fault.Internal, exitFailed, "dalamb is at fault, or this machine: a file that cannot be written, a port that is taken"},
	}
}

// codeOf is the exit code of an error.
func codeOf(err error) int {
	kind := fault.KindOf(err)
	if u := (usageError{}); errors.As(err, &u) {
		kind = fault.Invalid
	}
	for _, e := range ExitCodes() {
		if e.Kind == kind {
			return e.Code
		}
	}
	return exitFailed
}
