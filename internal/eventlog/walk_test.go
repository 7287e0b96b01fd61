package eventlog_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/dalamb/dalamb/internal/eventlog"
	"github.com/dalamb/dalamb/internal/eventlog/enginetest"
)

// appended are the records of a topic with two partitions, an hour apart, of which the first has number 0.
func appended(t *testing.T) (log eventlog.Log, noon time.Time) {
	t.Helper()
	log, err := enginetest.Open(enginetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	noon = time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	for _, name := range []string{"walked", "beside"} {
		if err := log.CreateTopic(t.Context(), eventlog.Topic{Name: name, Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		for i := range 12 {
			r := eventlog.Record{Topic: name, Partition: int32(i % 2), Time: noon.Add(time.Duration(i) * time.Hour), Value: []byte{byte(i)}}
			if _, err := log.Append(t.Context(), []eventlog.Record{r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return log, noon
}

// few gives one record at a time, and none when a walk is to break off.
type few struct {
	eventlog.Log
	left int
}

func (f *few) Read(ctx context.Context, p eventlog.Partition, from int64, o eventlog.ReadOptions) ([]eventlog.Record, error) {
	if f.left--; f.left < 0 {
		return nil, context.DeadlineExceeded
	}
	o.MaxRecords = 1
	return f.Log.Read(ctx, p, from, o)
}

func TestAWalkMeetsWhatWasAppendedMeanwhileOnce(t *testing.T) {
	log, noon := appended(t)
	hour := func(i float64) time.Time { return noon.Add(time.Duration(i * float64(time.Hour))) }
	for name, c := range map[string]struct {
		since, until time.Time
		want         []byte
	}{
		"a stretch":             {hour(2.5), hour(6.5), []byte{4, 6, 3, 5}},
		"as clocks may differ":  {hour(3).Add(30 * time.Second), hour(4).Add(-30 * time.Second), []byte{4, 3}},
		"to the end of the log": {hour(8.5), time.Time{}, []byte{10, 9, 11}},
		"nothing":               {hour(2.2), hour(2.8), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			next := map[eventlog.Partition]int64{}
			for goes := 1; ; goes++ {
				w := eventlog.Walk{Log: &few{log, 2}, Topics: []string{"walked"}, Since: c.since, Until: c.until, Next: next, Each: func(r *eventlog.Record) eventlog.Step {
					got = append(got, r.Value...)
					return eventlog.Further
				}}
				whole, err := w.Go(t.Context())
				if whole && err == nil {
					break
				}
				if err == nil || goes > 9 {
					t.Fatalf("go %d = %t, %v", goes, whole, err)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("it met %v, want %v", got, c.want)
			}
		})
	}
}

func TestALongerWalkGoesOnWhereAShorterOneEnded(t *testing.T) {
	log, noon := appended(t)
	var got []byte
	w := eventlog.Walk{Log: log, Topics: []string{"walked"}, Since: noon, Next: map[eventlog.Partition]int64{}, Each: func(r *eventlog.Record) eventlog.Step {
		got = append(got, r.Value...)
		return eventlog.Further
	}}
	for _, hours := range []time.Duration{3, 6} {
		w.Until = noon.Add(hours*time.Hour + 30*time.Minute)
		if whole, err := w.Go(t.Context()); !whole || err != nil {
			t.Fatalf("Go = %t, %v", whole, err)
		}
	}
	if want := []byte{0, 2, 1, 3, 4, 6, 5}; !slices.Equal(got, want) {
		t.Errorf("it met %v, want %v", got, want)
	}
}

func TestAWalkEndsAsItIsTold(t *testing.T) {
	log, noon := appended(t)
	for name, c := range map[string]struct {
		step  eventlog.Step
		rest  time.Time
		whole bool
		want  []byte
	}{
		"enough of a partition": {eventlog.Enough, time.Time{}, true, []byte{0, 1}},
		"found":                 {eventlog.Found, time.Time{}, true, []byte{0}},
		"its time is over":      {eventlog.Further, time.Now().Add(-time.Second), false, nil},
	} {
		var got []byte
		w := eventlog.Walk{Log: log, Topics: []string{"walked"}, Since: noon, Rest: c.rest, Next: map[eventlog.Partition]int64{}, Each: func(r *eventlog.Record) eventlog.Step {
			got = append(got, r.Value...)
			return c.step
		}}
		if whole, err := w.Go(t.Context()); whole != c.whole || err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: it met %v, %t, %v; want %v, %t", name, got, whole, err, c.want, c.whole)
		}
	}
}
