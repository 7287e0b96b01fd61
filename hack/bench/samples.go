package main

import (
	"context"
	"slices"
	"time"
)

// spread is the middle of some figures, and between which two half of them lie.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // first quartile
	High   float64 `json:"high"` // third quartile
}

func spreadOf(xs []float64) spread {
	return spread{Median: quantile(xs, 0.5), Low: quantile(xs, 0.25), High: quantile(xs, 0.75)}
}

// quantile is the smallest figure that a share of q of all do not exceed; 0 when there are none.
func quantile(xs []float64, q float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(xs))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func median(xs []float64) float64 { return quantile(xs, 0.5) }

// series are the turns of several things that are measured side by side.
type series [][]float64 // by thing, then by turn

// turns is how many a row takes: as it says, or fewer where who runs it wants that.
func (b *bench) turns(most int) int {
	if b.table.Turns > 0 {
		return min(most, b.table.Turns)
	}
	return most
}

// inTurns measures each thing once a turn, one after another, and keeps all turns.
func inTurns(ctx context.Context, turns int, things ...func() (float64, error)) (series, error) {
	s := make(series, len(things))
	for range turns {
		for i, measure := range things {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			x, err := measure()
			if err != nil {
				return nil, err
			}
			s[i] = append(s[i], x)
		}
	}
	return s, nil
}

// against makes the figures of a line of two things: the first one's, its yardstick's, and the ratio turn by turn.
func (s series) against(thing, yardstick int) (value, of float64, ratio spread) {
	ratios := make([]float64, len(s[thing]))
	for i := range ratios {
		ratios[i] = s[thing][i] / s[yardstick][i]
	}
	return median(s[thing]), median(s[yardstick]), spreadOf(ratios)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
