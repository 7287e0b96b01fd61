package runnertest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The table of tries in a page: a column for the try, and one for each runner, which its head names.
const (
	tableBegin = "<!-- tries: begin -->\n"
	tableEnd   = "<!-- tries: end -->\n"
)

// Document compares what came of the tries with the column of a runner in the page's table, or writes it there when told to update.
func Document(t *testing.T, page, runner string, all []Escape, update bool) {
	t.Helper()
	if t.Failed() {
		return
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(b), tableBegin)
	old, after, ends := strings.Cut(rest, tableEnd)
	table := cells(old)
	if !begins || !ends || len(table) < 2 || !slices.Contains(table[0], runner) {
		t.Fatalf("%s has no table with a column %s", page, runner)
	}
	got := fill(table, runner, all)
	if got == old {
		return
	}
	if !update {
		t.Errorf("%s says\n%s\nand the tries end as\n%s", page, old, got)
		return
	}
	if err := os.WriteFile(page, []byte(before+tableBegin+got+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cells are those of a table in Markdown, row by row.
func cells(table string) (rows [][]string) {
	for line := range strings.Lines(table) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// fill gives the table with a column as the tries end now. A try that is new is a row with empty cells for the other runners; one that
// nobody makes any more goes.
func fill(table [][]string, runner string, all []Escape) string {
	column := slices.Index(table[0], runner)
	head := table[0]
	rows := [][]string{head, slices.Repeat([]string{"---"}, len(head))}
	for _, e := range all {
		row := make([]string, len(head))
		for _, had := range table[2:] {
			if had[0] == e.Try {
				copy(row, had)
			}
		}
		row[0], row[column] = e.Try, e.Answer
		rows = append(rows, row)
	}
	var text strings.Builder
	for _, row := range rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return text.String()
}
