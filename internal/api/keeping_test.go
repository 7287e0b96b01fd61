package api

import (
	"testing"

	"github.com/dalamb/dalamb/internal/function"
	"github.com/dalamb/dalamb/internal/wire"
)

func TestWhatHappenedIsKeptForLonger(t *testing.T) {
	n := newNode(t)
	month, forever, week := "31d", wire.Forever, "7d"
	for _, c := range []struct {
		alter wire.TopicAlter
		want  [2]string
	}{
		{wire.TopicAlter{Retention: &month, MaxBytes: &forever}, [2]string{"31d", wire.Forever}},
		{wire.TopicAlter{Retention: &forever}, [2]string{wire.Forever, wire.Forever}},
		{wire.TopicAlter{Retention: &week}, [2]string{"7d", wire.Forever}}, // and back
	} {
		got, err := n.client.AlterTopic(t.Context(), function.TopicRuns, c.alter)
		ok(t, err)
		if [2]string{got.Retention, got.MaxBytes} != c.want || got.Partitions != 2 || !got.System {
			t.Errorf("AlterTopic = %+v, want it to keep %q", got, c.want)
		}
	}
}
