package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
	"github.com/dalamb/dalamb/internal/fault"
	"github.com/dalamb/dalamb/internal/function"
)

func invokeCommand(env *environment) *cobra.Command {
	var out output
	var data, alias, key string
	c := &cobra.Command{
		Use:   "invoke NAME[:ALIAS|:VERSION] [--data JSON|@FILE|-]",
		Short: "Call a function and print its result",
		Long: `Call a function and print its result. A function that answers with an error ends the command with exit code 1 and the error on
standard error. Without an alias or a version's number it is the live alias that is called; hello@3 is hello:3.`,
		Example: `  dalamb invoke hello --data '{"name":"world"}'
  dalamb invoke hello:3`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if err := givenKey(c); err != nil {
				return err
			}
			payload, err := argument(c, data)
			if err != nil {
				return fmt.Errorf("read --data: %w", err)
			}
			if len(payload) > 0 && !json.Valid(payload) {
				return fault.New(fault.Invalid, "--data is not JSON: %s", short(string(payload), 60)).
					WithHint(`in the shell it stands in single quotes: --data '{"name":"Ann"}', or --data '"Ann"' for text`)
			}
			node, err := env.client()
			if err != nil {
				return err
			}
			answer, err := node.Invoke(c.Context(), client.Invocation{Function: qualified(args[0]), Qualifier: alias, Key: key, Payload: payload})
			if err != nil {
				return err
			}
			if asJSON {
				err = out.print(c.OutOrStdout(), invokedOf(&answer), nil)
			} else if answer.Error == "" {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", bytes.TrimSuffix(answer.Payload, []byte("\n")))
			} else {
				name, _, _ := strings.Cut(qualified(args[0]), ":")
				fmt.Fprintf(c.ErrOrStderr(), "%s failed: %s\nhint: dalamb logs %s shows what it wrote\n", args[0], failureOf(answer.Payload), name)
			}
			if err == nil && answer.Error != "" {
				return exitCode(exitFailed)
			}
			return err
		},
	}
	c.Flags().StringVarP(&data, "data", "d", "{}", "the payload: JSON, or @FILE, or - for standard input")
	c.Flags().StringVar(&alias, "alias", "", "alias or version to call (default live)")
	c.Flags().StringVar(&key, "key", "", "while the alias has several versions, calls of one key meet the same one")
	out.flag(c)
	return c
}

// invoked is a call in JSON.
type invoked struct {
	Request string          `json:"request"` // id, as in _dalamb.requests
	Version int             `json:"version"`
	Failed  bool            `json:"failed"`
	Result  json.RawMessage `json:"result,omitempty"` // what the function answered; of one that failed, its error
	Text    string          `json:"text,omitempty"`   // an answer that is no JSON
}

func invokedOf(a *client.Invoked) invoked {
	i := invoked{Request: a.RequestID, Version: a.Version, Failed: a.Error != ""}
	if json.Valid(a.Payload) {
		i.Result = a.Payload
	} else {
		i.Text = string(a.Payload)
	}
	return i
}

// failureOf is the error in a function's own words; what is not in AWS's form stays as it is.
func failureOf(payload []byte) string {
	var f function.Failure
	if json.Unmarshal(payload, &f) != nil || f.Message == "" {
		return clean(string(payload))
	}
	return clean(failureText(&f))
}
