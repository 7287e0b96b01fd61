package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// watchRow: from when a file of a Python function is saved until the new version answers, by dalamb deploy --watch, against the same with a deploy by hand.
func watchRow(ctx context.Context, b *bench) error {
	if _, ok := b.interpreter("python3"); !ok {
		return nil
	}
	n, err := b.startNode(ctx, "watch")
	if err != nil {
		return err
	}
	works := map[string]*pushed{}
	for _, name := range []string{"watched", "deployed"} {
		w := &pushed{n: n, name: name, dir: filepath.Join(b.dir, name)}
		if err := w.write(map[string]string{"dalamb.yaml": fmt.Sprintf(pushManifest, name), "main.py": pushProgram}); err != nil {
			return err
		}
		works[name] = w
	}
	watched, deployed := works["watched"], works["deployed"]
	if err := watched.watch(ctx, b); err != nil {
		return err
	}
	const turns = 15
	s, err := inTurns(ctx, b.turns(turns),
		func() (float64, error) { return watched.save(ctx, func(context.Context) error { return nil }) },
		func() (float64, error) { return deployed.save(ctx, deployed.deploy) })
	if err != nil {
		return err
	}
	value, of, ratio := s.against(0, 1)
	b.add(line{
		Case: "a file of a Python function is saved under dalamb deploy --watch, to the new version's first answer", Unit: "s", Value: value,
		Yardstick: "the same with a dalamb deploy by hand", Of: of, Ratio: ratio, Target: valueAtMost(1),
	})
	return nil
}

// watch starts dalamb deploy --watch, and returns once what is there answers: what is saved from then on is seen.
func (w *pushed) watch(ctx context.Context, b *bench) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, "deploy", w.dir, "--watch")
	cmd.Env = append(os.Environ(), "DALAMB_DATA="+w.n.data)
	p, err := startChild(cmd)
	if err != nil {
		return err
	}
	b.atEnd(p.stop)
	if _, err := w.answers(ctx, time.Now()); err != nil {
		return fmt.Errorf("wait for what is watched: %w", err)
	}
	return nil
}

// save is how many seconds pass from a change until it answers.
func (w *pushed) save(ctx context.Context, deliver func(context.Context) error) (float64, error) {
	begun := time.Now()
	if err := w.change(); err != nil {
		return 0, err
	}
	if err := deliver(ctx); err != nil {
		return 0, err
	}
	return w.answers(ctx, begun)
}
