package gateway

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/dalamb/dalamb/internal/eventlog"
)

func TestAnEventWithoutAKeyMeetsItsRepeat(t *testing.T) {
	n := start(t, says(""))
	used := map[int32]bool{}
	for i := range 40 {
		id := fmt.Sprint(i % 20)
		var out []stored
		g := n.send("POST", "/_/events?type=a&source=/s&id="+id, "")
		if err := json.Unmarshal([]byte(g.body), &out); err != nil {
			t.Fatal(err)
		}
		if want := eventlog.PartitionFor([]byte("/s\x00"+id), 4); out[0].Partition != want {
			t.Errorf("event %s is in partition %d, want %d by its source and id", id, out[0].Partition, want)
		}
		used[out[0].Partition] = true
	}
	if len(used) < 3 {
		t.Errorf("20 events are in %d partitions of 4, want them spread", len(used))
	}
}
