package app

import (
	"context"
	"fmt"
	"os"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/runner"
)

// openRunner opens the runner and cleans up after a killed node: before dispatch begins, so that no run is alive twice.
func (n *Node) openRunner(ctx context.Context) error {
	own, err := openRunner(n.config, n.config.Runner, n.logger, n.metrics)
	if err != nil {
		return err
	}
	n.runner = runner.NewChoice(own, n.otherRunners())
	if n.ability, err = n.runner.Check(ctx); err != nil {
		return err
	}
	left, err := n.runner.Recover(ctx)
	if err != nil {
		return fmt.Errorf("clean up after the last node: %w", err)
	}
	if left > 0 {
		n.logger.Warn("removed what a killed node left", "instances", left)
	}
	n.tellNotes(own, n.ability)
	return nil
}

// otherRunners are those that a function may ask for by name.
func (n *Node) otherRunners() runner.ChoiceOptions {
	return runner.ChoiceOptions{
		Names: function.Runners(),
		Open:  func(name string) (runner.Runner, error) { return openRunner(n.config, name, n.logger, n.metrics) },
		Left: func(name string) bool {
			_, err := os.Stat(runnerState(n.config, name))
			return err == nil
		},
		Tell: n.tellNotes,
	}
}

func (n *Node) tellNotes(r runner.Runner, a runner.Ability) {
	for _, note := range a.Notes {
		n.logger.Warn("the runner cannot do everything here", "runner", r.Name(), "note", note)
	}
}
