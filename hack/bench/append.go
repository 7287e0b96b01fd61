package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog/disk/diskbench"
)

// appendRow: records of 512 bytes, each acknowledged after its fsync, against Pebble with the log's options.
func appendRow(ctx context.Context, b *bench) error {
	const turns, each = 4, 900 * time.Millisecond
	for i, load := range diskbench.Loads() {
		var logs, raws []float64
		for turn := range turns {
			if err := ctx.Err(); err != nil {
				return err
			}
			rates, err := diskbench.Append(filepath.Join(b.dir, "append", fmt.Sprint(i, ".", turn)), load, each)
			if err != nil {
				return err
			}
			logs, raws = append(logs, rates.Log), append(raws, rates.Raw)
		}
		value, of, ratio := series{logs, raws}.against(0, 1)
		b.add(line{
			Case: load.String(), Unit: "records/s", Value: value, Yardstick: "raw Pebble", Of: of, Ratio: ratio,
			Target: ratioAtLeast(0.8),
		})
	}
	return nil
}
