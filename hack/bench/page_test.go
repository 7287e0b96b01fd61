package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestARowIsPutWhereItBelongs(t *testing.T) {
	const file = "docs/performance.md"
	place := func(row, text string) string { return fmt.Sprintf(placeBegin, row, file) + text + placeEnd }
	page := "# Page\n\n" + place("cold", "old\n") + "between\n" + place("warm", "stays\n") + "after\n"
	met := true
	got := (&table{
		Time: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), System: "linux/amd64", Cores: 2, Load: "0.10",
		Lines: []line{
			{Row: "cold", Case: "python3", Unit: "ms", Value: 20, Yardstick: "fork+exec", Of: 10, Ratio: spread{2, 1.5, 2.5}, Target: ratioAtMost(3), Met: &met},
			{Row: "elsewhere", Case: "x"},
		},
		Notes: []string{"cold: skipped node", "elsewhere: nothing"},
	}).page(file, page)
	want := "# Page\n\n" + place("cold", "2026-11-21, linux/amd64, 2 cores, load average 0.10 when it began:\n\n"+
		"| case | measured | against | | ratio | middle half | target | met |\n|---|---|---|---|---|---|---|---|\n"+
		"| python3 | 20.0 ms | 10.0 ms | fork+exec | 2.00x | 1.50-2.50 | <= 3x | yes |\n\nskipped node\n") +
		"between\n" + place("warm", "stays\n") + "after\n"
	if got != want {
		t.Errorf("page = %s\nwant %s", got, want)
	}
}

func TestThePageHasPlacesForRowsThatThereAre(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	places := 0
	for _, r := range rows() {
		if strings.Contains(string(text), fmt.Sprintf(placeBegin, r.name, "docs/performance.md")) {
			places++
		}
	}
	if all := strings.Count(string(text), "<!-- written by: "); places != all || all != strings.Count(string(text), placeEnd) || all == 0 {
		t.Errorf("%d places, of which %d are of rows that there are", all, places)
	}
}
