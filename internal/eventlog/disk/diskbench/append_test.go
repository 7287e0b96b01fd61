package diskbench_test

import (
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog/disk/diskbench"
)

// BenchmarkAppend prints records per second of the log, of raw Pebble, and their ratio; ns/op means nothing here.
func BenchmarkAppend(b *testing.B) {
	for _, load := range diskbench.Loads() {
		b.Run(load.String(), func(b *testing.B) {
			var rates diskbench.Rates
			for range b.N {
				r, err := diskbench.Append(b.TempDir(), load, 3*time.Second)
				if err != nil {
					b.Fatal(err)
				}
				rates = r
			}
			b.ReportMetric(rates.Log, "records/s")
			b.ReportMetric(rates.Raw, "raw-records/s")
			b.ReportMetric(rates.Ratio(), "of-raw")
		})
	}
}

func TestAppendMeasuresBoth(t *testing.T) {
	rates, err := diskbench.Append(t.TempDir(), diskbench.Load{Writers: 2, Batch: 3}, 120*time.Millisecond)
	if err != nil || rates.Log <= 0 || rates.Raw <= 0 || rates.Ratio() <= 0 {
		t.Errorf("Append() = %+v, %v, want rates above 0", rates, err)
	}
}
