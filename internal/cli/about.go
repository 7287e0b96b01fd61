package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/dalamb/dalamb/internal/client"
)

// inquiry is a question to the node about one thing, and how the answer reads.
type inquiry[T any] struct {
	ask  func(*client.Client) (T, error)
	text func(io.Writer, *T)
}

// run asks, and prints the answer in the form that out says.
func (q inquiry[T]) run(c *cobra.Command, env *environment, out *output) error {
	if _, err := out.json(); err != nil {
		return err
	}
	node, err := env.client()
	if err != nil {
		return err
	}
	one, err := q.ask(node)
	if err != nil {
		return err
	}
	return out.print(c.OutOrStdout(), one, func(w io.Writer) { q.text(w, &one) })
}
